#include "server/watchdog.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "systemd/notify.h"

#define STATUS_MS 5000
#define BEATS 4 /* in the manager's patience: a ping to a thread may be lost */

void
watchdog_start(struct watchdog *pulse, struct worker_pool *pool,
    struct listener_set *roster, uint64_t now_ms)
{
	uint64_t watchdog_ms = notify_watchdog_ms();

	*pulse = (struct watchdog){ .pool = pool, .roster = roster };
	if (!notify_is_heard())
		return;
	pulse->watched = watchdog_ms != 0;
	pulse->period_ms = STATUS_MS;
	if (pulse->watched && watchdog_ms / BEATS < STATUS_MS)
		pulse->period_ms = watchdog_ms / BEATS;
	if (pulse->period_ms == 0)
		pulse->period_ms = 1;
	pulse->next_ms = now_ms;
}

int
watchdog_wait_ms(const struct watchdog *pulse, uint64_t now_ms)
{
	if (pulse->period_ms == 0)
		return -1;
	return pulse->next_ms > now_ms ? (int)(pulse->next_ms - now_ms) : 0;
}

/* The sign that was asked for a beat ago; the acceptor's is that it is here. */
static void
prove_life(struct watchdog *pulse)
{
	if (worker_pool_is_responsive(pulse->pool) &&
	    listener_set_is_responsive(pulse->roster)) {
		pulse->missed = 0;
		notify_alive();
	} else if (++pulse->missed == BEATS - 1) {
		log_about(LOG_ERR,
		    &(struct log_about){ .message_id = LOG_ID_WATCHDOG },
		    "watchdog: a thread does not turn");
	}
	listener_set_ping(pulse->roster);
	worker_pool_ping(pulse->pool);
}

static void
tell_figures(struct watchdog *pulse, uint64_t now_ms,
    const struct counters *sum)
{
	char status[sizeof(pulse->status)];
	uint64_t messages = counters_answered(sum);
	uint64_t ms = now_ms - pulse->status_ms;

	snprintf(status, sizeof(status),
	    "%llu connections open, %llu messages answered, %llu a second",
	    (unsigned long long)counters_open(sum),
	    (unsigned long long)messages,
	    (unsigned long long)((messages - pulse->messages) * 1000 / ms));
	pulse->messages = messages;
	pulse->status_ms = now_ms;
	if (strcmp(status, pulse->status) == 0)
		return;
	strcpy(pulse->status, status);
	notify_status(status);
}

void
watchdog_beat(struct watchdog *pulse, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context)
{
	struct counters sum = { 0 };

	if (watchdog_wait_ms(pulse, now_ms) != 0)
		return;
	pulse->next_ms = now_ms + pulse->period_ms;
	if (pulse->watched)
		prove_life(pulse);
	if (now_ms - pulse->status_ms < STATUS_MS)
		return;
	total(context, &sum);
	tell_figures(pulse, now_ms, &sum);
}
