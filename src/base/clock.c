#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#define MINUTE_MS 60000

static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER;

uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool
clock_minute_passed(_Atomic uint64_t *last_ms, uint64_t now_ms)
{
	uint64_t then_ms = *last_ms;

	return (then_ms == 0 || now_ms >= then_ms + MINUTE_MS) &&
	       atomic_compare_exchange_strong(last_ms, &then_ms, now_ms);
}

uint64_t
clock_ns_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	int64_t ns = (int64_t)(now.tv_sec - then->tv_sec) * 1000000000 +
	             (now.tv_nsec - then->tv_nsec);
	return ns > 0 ? (uint64_t)ns : 0;
}

void
clock_lock_zone(void)
{
	pthread_mutex_lock(&zone_lock);
}

void
clock_unlock_zone(void)
{
	pthread_mutex_unlock(&zone_lock);
}
