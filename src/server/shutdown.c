#include "server/shutdown.h"

#include <inttypes.h>
#include <sys/param.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/handover.h"
#include "server/reload.h"
#include "server/server.h"
#include "systemd/notify.h"

/* Limit of each of the two phases of a hand-over; a stop has drain_timeout. */
#define HAND_OVER_S 10
/* What the end takes where threads hang, in seconds, and one to spare. */
#define END_S ((SERVER_END_MS + HTTP_END_MS) / 1000 + 1)

/* A stop that only closes quiet clients is over before. */
#define REMARK_MS 1000

static const struct {
	enum shutdown_state state;
	enum shutdown_event event;
	enum shutdown_state next;
} transitions[] = {
	{ SHUTDOWN_RUNNING, SHUTDOWN_STOP, SHUTDOWN_DRAINING },
	{ SHUTDOWN_RUNNING, SHUTDOWN_ANNOUNCE, SHUTDOWN_LAME_DUCK },
	{ SHUTDOWN_LAME_DUCK, SHUTDOWN_STOP, SHUTDOWN_DRAINING },
	{ SHUTDOWN_LAME_DUCK, SHUTDOWN_TIMEOUT, SHUTDOWN_DRAINING },
	{ SHUTDOWN_RUNNING, SHUTDOWN_RESTART, SHUTDOWN_DRAINING_OTHERS },
	{ SHUTDOWN_DRAINING, SHUTDOWN_STOP, SHUTDOWN_ABORTING },
	{ SHUTDOWN_DRAINING, SHUTDOWN_ACCEPTED, SHUTDOWN_FINISHING },
	{ SHUTDOWN_DRAINING, SHUTDOWN_TIMEOUT, SHUTDOWN_ABORTING },
	{ SHUTDOWN_FINISHING, SHUTDOWN_STOP, SHUTDOWN_ABORTING },
	{ SHUTDOWN_FINISHING, SHUTDOWN_TIMEOUT, SHUTDOWN_ABORTING },
	{ SHUTDOWN_FINISHING, SHUTDOWN_JOINED, SHUTDOWN_ENDED },
	{ SHUTDOWN_DRAINING_OTHERS, SHUTDOWN_STOP, SHUTDOWN_ABORTING },
	{ SHUTDOWN_DRAINING_OTHERS, SHUTDOWN_ACCEPTED, SHUTDOWN_HANDING_OVER },
	/* Clients in a backlog must not prevent the hand-over of others. */
	{ SHUTDOWN_DRAINING_OTHERS, SHUTDOWN_TIMEOUT, SHUTDOWN_HANDING_OVER },
	{ SHUTDOWN_HANDING_OVER, SHUTDOWN_STOP, SHUTDOWN_ABORTING },
	{ SHUTDOWN_HANDING_OVER, SHUTDOWN_TIMEOUT, SHUTDOWN_ABORTING },
	{ SHUTDOWN_HANDING_OVER, SHUTDOWN_JOINED, SHUTDOWN_ENDED },
	{ SHUTDOWN_HANDING_OVER, SHUTDOWN_LEFT_OVER, SHUTDOWN_FINISHING },
	{ SHUTDOWN_ABORTING, SHUTDOWN_JOINED, SHUTDOWN_ENDED },
	/* Without the thread that hangs. */
	{ SHUTDOWN_ABORTING, SHUTDOWN_TIMEOUT, SHUTDOWN_ENDED },
};

enum shutdown_state
shutdown_next(enum shutdown_state state, enum shutdown_event event)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(*transitions); i++)
		if (transitions[i].state == state &&
		    transitions[i].event == event)
			return transitions[i].next;
	return state;
}

/* For what begins now; the service manager must not end it earlier. */
static void
set_deadline(struct server *server, int seconds)
{
	notify_extend(seconds + END_S);
	server->deadline_ms = clock_ms() + (uint64_t)seconds * 1000;
}

static void
begin(struct server *server, const char *message, int seconds)
{
	struct log_about about = { .message_id = LOG_ID_STOP };

	log_about(LOG_INFO, &about, "%s", message);
	notify_send(NOTIFY_STOPPING);
	set_deadline(server, seconds);
	if (log_terminal())
		server->remark_ms = clock_ms() + REMARK_MS;
}

/* Balancers that ask /ready send their new clients elsewhere meanwhile. */
static void
announce(struct server *server)
{
	int seconds = server->config->lame_duck;

	log_info("not ready any more: stopping in %d s (lame_duck)%s", seconds,
	    log_terminal() ? "; Ctrl-C again stops now" : "");
	notify_extend(seconds + server->config->drain_timeout + END_S);
	server->deadline_ms = clock_ms() + (uint64_t)seconds * 1000;
}

static void
enter(struct server *server, enum shutdown_state state)
{
	server->state = state;
	switch (state) {
	case SHUTDOWN_LAME_DUCK:
		announce(server);
		break;
	case SHUTDOWN_DRAINING:
		begin(server, "stopping", server->config->drain_timeout);
		listener_set_drain(&server->listeners);
		worker_pool_order(&server->pool, WORKER_DRAIN);
		break;
	case SHUTDOWN_FINISHING:
		worker_pool_order(&server->pool, WORKER_FINISH);
		break;
	case SHUTDOWN_DRAINING_OTHERS:
		begin(server, "stopping, the next process takes over",
		    HAND_OVER_S);
		listener_set_hand_over(&server->listeners);
		break;
	case SHUTDOWN_HANDING_OVER:
		listener_set_drop_all(&server->listeners);
		worker_pool_order(&server->pool, WORKER_HAND_OVER);
		set_deadline(server, HAND_OVER_S);
		break;
	case SHUTDOWN_ABORTING:
		listener_set_drop_all(&server->listeners);
		worker_pool_order(&server->pool, WORKER_ABORT);
		server->deadline_ms = clock_ms() + SERVER_END_MS;
		break;
	default:
		break;
	}
}

void
shutdown_take_event(struct server *server, enum shutdown_event event)
{
	enum shutdown_state next = shutdown_next(server->state, event);

	if (next != server->state)
		enter(server, next);
}

void
shutdown_stop(struct server *server)
{
	bool is_announced = server->state == SHUTDOWN_RUNNING &&
	                    server->config->lame_duck > 0;

	shutdown_take_event(server,
	    is_announced ? SHUTDOWN_ANNOUNCE : SHUTDOWN_STOP);
}

/* Whether the manager's store has the listeners, and room for connections. */
static bool
has_places(const struct server *server)
{
	size_t stored = listener_set_count_stored(&server->listeners);
	int connections = worker_pool_connections(&server->pool);
	size_t more = handover_places((size_t)connections);
	size_t size = fdstore_capacity();
	/* A probe also tells whether there was room for listeners. */
	size_t probes = more == 0 && size > stored ? 1 : more;

	if (size >= stored + more && fdstore_has_room(probes))
		return true;
	log_warning("a restart needs %zu places in the service manager's "
		    "store, which has fewer (FDSTORE=%zu): connections end; "
		    "raise FileDescriptorStoreMax=",
	    stored + more, size);
	return false;
}

void
shutdown_restart(struct server *server)
{
	if (server->state != SHUTDOWN_RUNNING)
		return;
	bool possible = fdstore_capacity() > 0 && reload_can_load(server) &&
	                has_places(server);
	if (possible)
		shutdown_take_event(server, SHUTDOWN_RESTART);
	else
		shutdown_stop(server);
}

/*
 * Joins the workers and hands over the connections that they have set aside.
 * Those that the manager doesn't take get workers again, to be answered.
 */
static enum shutdown_event
join_workers(struct server *server)
{
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	struct conn *conn;

	worker_pool_join(&server->pool, &server->counters, &list);
	if (server->state == SHUTDOWN_HANDING_OVER)
		handover_store(&list, &server->counters);
	if (!TAILQ_EMPTY(&list) && server->state == SHUTDOWN_HANDING_OVER &&
	    server_start_pool(server) == 0) {
		/* Without memory they have what is for all. */
		worker_pool_configure(&server->pool, server->config,
		    &server->listeners.profiles);
		server_serve(server, &list);
		set_deadline(server, server->config->drain_timeout);
		return SHUTDOWN_LEFT_OVER;
	}
	while ((conn = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, conn, link);
		conn_close(conn, &server->counters, CLOSE_ERROR, clock_ms());
	}
	return SHUTDOWN_JOINED;
}

static void
log_remark(const struct server *server, const struct worker_oldest *oldest)
{
	int count = worker_pool_connections(&server->pool);
	uint64_t now_ms = clock_ms();
	uint64_t end_ms = MAX(server->deadline_ms, now_ms);
	bool is_hand_over = server->state == SHUTDOWN_DRAINING_OTHERS ||
	                    server->state == SHUTDOWN_HANDING_OVER;

	/* The last one closed after its worker had answered. */
	if (count == 0)
		return;
	log_info("waiting for %d connection%s %s, open for %" PRIu64
		 " s; at most %" PRIu64
		 " s more%s; Ctrl-C again closes at once",
	    count, count == 1 ? "" : "s, the oldest", oldest->who,
	    (now_ms - oldest->opened_ms) / 1000, (end_ms - now_ms + 999) / 1000,
	    is_hand_over ? "" : " (drain_timeout)");
}

/* Says on a terminal, once, for whom a stop waits; the workers know it. */
static void
remark(struct server *server)
{
	struct worker_oldest oldest;

	if (clock_ms() >= server->remark_ms) {
		server->remark_ms = UINT64_MAX;
		worker_pool_ask_oldest(&server->pool);
	}
	if (worker_pool_take_oldest(&server->pool, &oldest) &&
	    server->state < SHUTDOWN_ABORTING)
		log_remark(server, &oldest);
}

void
shutdown_advance(struct server *server)
{
	if (server->state == SHUTDOWN_RUNNING)
		return;
	if (server->state == SHUTDOWN_LAME_DUCK) {
		if (clock_ms() < server->deadline_ms)
			return;
		shutdown_take_event(server, SHUTDOWN_TIMEOUT);
		/* Those without a client would not wake this thread. */
		listener_set_drop_drained(&server->listeners);
	}
	remark(server);
	if (listener_set_is_empty(&server->listeners))
		shutdown_take_event(server, SHUTDOWN_ACCEPTED);
	if (server->pool.running == 0)
		shutdown_take_event(server, join_workers(server));
	if (server->state == SHUTDOWN_ENDED || clock_ms() < server->deadline_ms)
		return;
	if (server->state == SHUTDOWN_DRAINING_OTHERS)
		log_warning("listeners still drain: closing them and the "
			    "clients that wait there");
	else if (server->state == SHUTDOWN_HANDING_OVER)
		log_warning(
		    "a worker does not hand over: closing what is open");
	else if (server->state != SHUTDOWN_ABORTING &&
		 server->config->drain_timeout > 0)
		log_warning("drain_timeout is over: closing what is open");
	shutdown_take_event(server, SHUTDOWN_TIMEOUT);
}
