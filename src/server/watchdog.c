#include "server/watchdog.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/server.h"
#include "systemd/notify.h"

#define STATUS_MS 5000
#define LIVE_MS 1000
#define LIVE_MISSED 2 /* beats; after one the threads may have had no CPU */
#define BEATS 4 /* in the manager's time limit: a late answer costs nothing */

void
watchdog_start(struct server *server)
{
	struct watchdog *watchdog = &server->watchdog;
	bool is_heard = notify_is_heard();
	uint64_t watchdog_ms = is_heard ? notify_watchdog_ms() : 0;

	watchdog->is_live_asked = http_is_open(&server->http);
	watchdog->watched = watchdog_ms != 0;
	watchdog->period_ms = watchdog->is_live_asked ? LIVE_MS : STATUS_MS;
	if (watchdog->watched && watchdog_ms / BEATS < watchdog->period_ms)
		watchdog->period_ms = watchdog_ms / BEATS + 1;
	if (!is_heard && !watchdog->is_live_asked)
		watchdog->next_ms = UINT64_MAX;
	else if (watchdog->next_ms == UINT64_MAX)
		watchdog->next_ms = clock_ms();
	else /* A beat at once would leave the threads no time to answer. */
		watchdog->next_ms = MIN(watchdog->next_ms,
		    clock_ms() + watchdog->period_ms);
}

/* The main thread is responsive: it is here. */
static void
check_threads(struct server *server, uint64_t now_ms)
{
	struct watchdog *watchdog = &server->watchdog;
	bool responsive = listener_set_ping(&server->listeners);

	responsive &= worker_pool_ping(&server->pool);
	if (responsive) {
		watchdog->missed = 0;
		if (watchdog->watched)
			notify_send(NOTIFY_ALIVE);
	} else if (++watchdog->missed == BEATS - 1) {
		log_about(LOG_ERR,
		    &(struct log_about){ .message_id = LOG_ID_WATCHDOG },
		    "watchdog: a thread does not respond");
	}
	if (watchdog->is_live_asked)
		http_note_beat(&server->http, watchdog->missed < LIVE_MISSED,
		    now_ms);
}

static void
tell_figures(struct server *server, uint64_t now_ms)
{
	struct watchdog *watchdog = &server->watchdog;
	struct counters sum = { 0 };
	char status[sizeof(watchdog->status)];
	uint64_t ms = now_ms - watchdog->status_ms;

	server_total_counters(server, &sum);
	uint64_t messages = counters_answered(&sum);
	snprintf(status, sizeof(status),
	    "%" PRIu64 " connections open, %" PRIu64 " messages answered, "
	    "%" PRIu64 " a second",
	    counters_open(&sum), messages,
	    (messages - watchdog->messages) * 1000 / ms);
	watchdog->messages = messages;
	watchdog->status_ms = now_ms;
	if (strcmp(status, watchdog->status) == 0)
		return;
	strcpy(watchdog->status, status);
	notify_status(status);
}

void
watchdog_beat(struct server *server)
{
	struct watchdog *watchdog = &server->watchdog;
	uint64_t now_ms = clock_ms();

	if (now_ms < watchdog->next_ms)
		return;
	watchdog->next_ms = now_ms + watchdog->period_ms;
	if (watchdog->watched || watchdog->is_live_asked)
		check_threads(server, now_ms);
	if (now_ms - watchdog->status_ms >= STATUS_MS)
		tell_figures(server, now_ms);
}
