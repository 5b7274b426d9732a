#include "http/ender.h"

#include <stdlib.h>
#include <time.h>

static void *
run(void *cls)
{
	struct ender *ender = cls;

	ender->stop(ender->daemon);
	pthread_mutex_lock(&ender->lock);
	ender->is_over = true;
	pthread_cond_signal(&ender->changed);
	pthread_mutex_unlock(&ender->lock);
	return NULL;
}

static void
destroy(struct ender *ender)
{
	pthread_cond_destroy(&ender->changed);
	pthread_mutex_destroy(&ender->lock);
	free(ender);
}

struct ender *
ender_start(void (*stop)(struct MHD_Daemon *daemon), struct MHD_Daemon *daemon)
{
	struct ender *ender = calloc(1, sizeof(*ender));
	pthread_condattr_t attributes;

	if (ender == NULL)
		return NULL;
	ender->stop = stop;
	ender->daemon = daemon;
	pthread_mutex_init(&ender->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&ender->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&ender->thread, NULL, run, ender) == 0)
		return ender;
	destroy(ender);
	return NULL;
}

bool
ender_await(struct ender *ender, uint64_t end_ms)
{
	struct timespec end = { (time_t)(end_ms / 1000),
		(long)(end_ms % 1000) * 1000000 };
	int rc = 0;

	pthread_mutex_lock(&ender->lock);
	while (!ender->is_over && rc == 0)
		rc = pthread_cond_timedwait(&ender->changed, &ender->lock,
		    &end);
	bool is_over = ender->is_over;
	pthread_mutex_unlock(&ender->lock);
	if (!is_over)
		return false;
	pthread_join(ender->thread, NULL);
	destroy(ender);
	return true;
}
