#include "pulse.h"

#include <stdio.h>
#include <string.h>

#include "log.h"
#include "notify.h"

#define STATUS_MS 5000
#define BEATS 4 /* in the manager's patience: a ping to a thread may be lost */

void
pulse_start(struct pulse *pulse, struct pool *pool, struct roster *roster,
    uint64_t now_ms)
{
	uint64_t watchdog_ms = notify_watchdog_ms();

	*pulse = (struct pulse){ .pool = pool, .roster = roster };
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
pulse_wait_ms(const struct pulse *pulse, uint64_t now_ms)
{
	if (pulse->period_ms == 0)
		return -1;
	return pulse->next_ms > now_ms ? (int)(pulse->next_ms - now_ms) : 0;
}

/* The sign that was asked for a beat ago; the acceptor's is that it is here. */
static void
prove_life(struct pulse *pulse)
{
	if (pool_turns(pulse->pool) && roster_turns(pulse->roster)) {
		pulse->missed = 0;
		notify_alive();
	} else if (++pulse->missed == BEATS - 1) {
		log_about(LOG_ERROR,
		    &(struct log_about){ .message_id = LOG_ID_WATCHDOG },
		    "watchdog: a thread does not turn");
	}
	roster_ping(pulse->roster);
	pool_ping(pulse->pool);
}

static void
tell_figures(struct pulse *pulse, uint64_t now_ms, const struct counters *sum)
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
pulse_beat(struct pulse *pulse, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context)
{
	struct counters sum = { 0 };

	if (pulse_wait_ms(pulse, now_ms) != 0)
		return;
	pulse->next_ms = now_ms + pulse->period_ms;
	if (pulse->watched)
		prove_life(pulse);
	if (now_ms - pulse->status_ms < STATUS_MS)
		return;
	total(context, &sum);
	tell_figures(pulse, now_ms, &sum);
}
