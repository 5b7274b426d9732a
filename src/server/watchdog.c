#include "server/watchdog.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "systemd/notify.h"

#define STATUS_MS 5000
#define BEATS 4 /* in the manager's time limit: a late answer costs nothing */

void
watchdog_start(struct watchdog *watchdog, struct worker_pool *pool,
    struct listener_set *listeners, uint64_t now_ms)
{
	uint64_t watchdog_ms = notify_watchdog_ms();

	*watchdog = (struct watchdog){
		.pool = pool,
		.listeners = listeners,
		.next_ms = UINT64_MAX,
	};
	if (!notify_is_heard())
		return;
	watchdog->watched = watchdog_ms != 0;
	watchdog->period_ms = STATUS_MS;
	if (watchdog->watched && watchdog_ms / BEATS < STATUS_MS)
		watchdog->period_ms = watchdog_ms / BEATS;
	if (watchdog->period_ms == 0)
		watchdog->period_ms = 1;
	watchdog->next_ms = now_ms;
}

/* The main thread is responsive: it is here. */
static void
check_threads(struct watchdog *watchdog)
{
	if (worker_pool_is_responsive(watchdog->pool) &&
	    listener_set_is_responsive(watchdog->listeners)) {
		watchdog->missed = 0;
		notify_alive();
	} else if (++watchdog->missed == BEATS - 1) {
		log_about(LOG_ERR,
		    &(struct log_about){ .message_id = LOG_ID_WATCHDOG },
		    "watchdog: a thread does not respond");
	}
	listener_set_ping(watchdog->listeners);
	worker_pool_ping(watchdog->pool);
}

static void
tell_figures(struct watchdog *watchdog, uint64_t now_ms,
    const struct counters *sum)
{
	char status[sizeof(watchdog->status)];
	uint64_t messages = counters_answered(sum);
	uint64_t ms = now_ms - watchdog->status_ms;

	snprintf(status, sizeof(status),
	    "%llu connections open, %llu messages answered, %llu a second",
	    (unsigned long long)counters_open(sum),
	    (unsigned long long)messages,
	    (unsigned long long)((messages - watchdog->messages) * 1000 / ms));
	watchdog->messages = messages;
	watchdog->status_ms = now_ms;
	if (strcmp(status, watchdog->status) == 0)
		return;
	strcpy(watchdog->status, status);
	notify_status(status);
}

void
watchdog_beat(struct watchdog *watchdog, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context)
{
	struct counters sum = { 0 };

	if (now_ms < watchdog->next_ms)
		return;
	watchdog->next_ms = now_ms + watchdog->period_ms;
	if (watchdog->watched)
		check_threads(watchdog);
	if (now_ms - watchdog->status_ms < STATUS_MS)
		return;
	total(context, &sum);
	tell_figures(watchdog, now_ms, &sum);
}
