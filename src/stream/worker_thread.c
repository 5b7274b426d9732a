#include "stream/worker_thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/param.h>

#include "base/clock.h"
#include "stream/budget.h"
#include "stream/proxy.h"

#define EVENTS_MAX 256

/*
 * In a stop a connection is finished after this time without data, and closed
 * after this time without the client's end.
 */
#define QUIET_MS 200

#define FRESH_MS 100  /* how old a look may be that decides what is closed */
#define RELIEF_MAX 64 /* connections that are closed for memory at once */
#define PATIENCE_EVERY_MS 1000

/* When all are closed, a client that took nothing for so long is deaf. */
#define DEAF_MS 1000

/* Tells the acceptor, if it waits for that, that there is room. */
static void
release_connection(struct worker *worker)
{
	struct worker_shared *shared = worker->shared;

	worker->load--;
	if (shared->room_wanted && atomic_exchange(&shared->room_wanted, false))
		eventfd_write(shared->room_fd, 1);
}

static void
close_one(struct worker *worker, struct conn *conn, enum close_reason reason)
{
	if (conn->kept != NULL)
		worker->shared->has_freed = true;
	roster_remove(&worker->roster, conn);
	client_log_close(&worker->log, conn, reason, worker->roster.now_ms);
	conn_close(conn, &worker->counters, reason, worker->roster.now_ms);
	release_connection(worker);
}

/* For a client that takes nothing: leaves nothing for it in the kernel. */
static void
close_deaf(struct worker *worker, struct conn *conn, enum close_reason reason)
{
	conn_discard(conn);
	close_one(worker, conn, reason);
}

/*
 * Has epoll report when conn is ready for want; -1 with errno.  A connection
 * that has ended on both sides is always ready, and so is one whose first bytes
 * stay in the socket: these are reported only when something has changed.
 */
static int
watch(struct worker *worker, struct conn *conn, enum conn_want want)
{
	uint8_t events = want == CONN_WANT_WRITE ? EPOLLOUT
	               : want == CONN_WANT_TAKEN ? EPOLLERR
	               : want == CONN_WANT_REST  ? EPOLLIN | EPOLLRDNORM
	                                         : EPOLLIN;
	struct epoll_event event = { .events = events, .data.ptr = conn };
	int op = conn->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (events == conn->events)
		return 0;
	if (want == CONN_WANT_TAKEN || want == CONN_WANT_REST)
		event.events |= EPOLLET;
	conn->events = events;
	return epoll_ctl(worker->epoll_fd, op, conn->fd, &event);
}

/* Waits for what a connection needs next, or closes it. */
static void
follow(struct worker *worker, struct conn *conn, enum conn_want want)
{
	if (want == CONN_WANT_CLOSE) {
		close_one(worker, conn, conn->close_reason);
	} else if (watch(worker, conn, want) == -1) {
		close_one(worker, conn, CLOSE_ERROR);
	} else if (!conn->untaken || want != CONN_WANT_READ ||
		   worker->turn_order >= WORKER_DRAIN) {
		roster_move(&worker->roster, conn, want, false);
	}
}

static const struct profile *
profile_of(const struct worker *worker, const struct conn *conn)
{
	const struct profiles *profiles = &worker->settings.profiles;

	/* If there was no memory for new settings, it may not be there. */
	return &profiles
	            ->rows[conn->profile < profiles->count ? conn->profile : 0];
}

/* False: conn was not ready, and its timeout continues to run. */
static bool
serve_data(struct worker *worker, struct conn *conn)
{
	uint64_t before = conn->bytes_in + conn->bytes_out;
	bool kept = conn->kept != NULL;

	worker->io.stamp =
	    &worker->settings.profiles.stamps[profile_of(worker, conn)->stamp];
	enum conn_want want = conn_ready(conn, &worker->io);

	if (kept && conn->kept == NULL)
		worker->shared->has_freed = true;
	if (want == conn->want && conn->bytes_in + conn->bytes_out == before)
		return false;
	follow(worker, conn, want);
	return true;
}

/*
 * The header has told who the client is, or no header will.  Data of the client
 * often follow it.  False: want is what conn waits for already.
 */
static bool
follow_header(struct worker *worker, struct conn *conn, enum conn_want want)
{
	if (want == conn->want)
		return false;
	if (want != CONN_WANT_REST)
		client_log_open(&worker->log, conn, worker->roster.now_ms);
	if (want == CONN_WANT_READ) {
		roster_move(&worker->roster, conn, want, false);
		if (serve_data(worker, conn))
			return true;
	}
	follow(worker, conn, want);
	return true;
}

static bool
serve(struct worker *worker, struct conn *conn)
{
	if (!proxy_is_awaited(conn))
		return serve_data(worker, conn);
	return follow_header(worker, conn, proxy_ready(conn, &worker->io));
}

/* The shortest time that a connection may be idle; 0: none has a limit. */
static uint64_t
find_shortest(const struct profiles *profiles)
{
	uint64_t shortest = 0;

	for (size_t i = 0; i < 2 * profiles->count; i++) {
		uint64_t ms = profiles->rows[i / 2].idle_ms[i % 2];
		if (ms != 0 && (shortest == 0 || ms < shortest))
			shortest = ms;
	}
	return shortest;
}

static void
use_next_settings(struct worker *worker)
{
	struct worker_settings *next = NULL;

	if (worker->next_settings != NULL)
		next = atomic_exchange(&worker->next_settings, NULL);
	if (next == NULL)
		return;
	profiles_free(&worker->settings.profiles);
	worker->settings = *next;
	worker->idle_ms = find_shortest(&next->profiles);
	/* Patient ones may be due sooner now, or be patient no longer. */
	worker->roster.patient_ms = 0;
	worker->io.arrival = next->arrival;
	worker->log.is_on = next->log_connections;
	free(next);
}

/*
 * Takes the stack of dispatched connections, and serves each at once, the
 * oldest first: the first data has often arrived, so epoll needn't report it.
 */
static void
admit_dispatched(struct worker *worker)
{
	struct conn *conn = NULL, *next, *oldest = NULL;

	if (worker->dispatched != NULL)
		conn = atomic_exchange(&worker->dispatched, NULL);
	/* Only now: settings and time may not be older than the connections. */
	use_next_settings(worker);
	worker->roster.now_ms = clock_ms();
	for (; conn != NULL; conn = next) {
		next = conn->link.tqe_next;
		conn->link.tqe_next = oldest;
		oldest = conn;
	}
	for (conn = oldest; conn != NULL; conn = next) {
		next = conn->link.tqe_next;
		/* The lists are in the order of this time. */
		if (!conn->restored)
			conn->active_ms = worker->roster.now_ms;
		roster_add(&worker->roster, conn);
		if (!proxy_is_awaited(conn))
			client_log_open(&worker->log, conn,
			    worker->roster.now_ms);
		if (!serve(worker, conn) &&
		    watch(worker, conn, conn->want) == -1)
			close_one(worker, conn, CLOSE_ERROR);
	}
}

/* Keeps the connections for worker_join to return. */
static void
hand_over_all(struct worker *worker)
{
	struct conn *conn;

	for (int list = 0; list < ROSTER_LISTS; list++) {
		if (list == CONN_WANT_LINGER)
			continue;
		while ((conn = TAILQ_FIRST(&worker->roster.lists[list]))) {
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, conn->fd,
			    NULL);
			conn->events = 0;
			roster_remove(&worker->roster, conn);
			client_log_hand_over(&worker->log, conn,
			    worker->roster.now_ms);
			TAILQ_INSERT_TAIL(&worker->handed_over, conn, link);
			release_connection(worker);
		}
	}
}

static bool
is_draining(const struct worker *worker)
{
	return worker->turn_order >= WORKER_DRAIN;
}

/* How long all of a list may be quiet; 0: the list does not say. */
static uint64_t
timeout_ms(const struct worker *worker, int list)
{
	if (list == CONN_WANT_WRITE)
		return worker->settings.send_ms;
	if (list == CONN_WANT_LINGER || worker->turn_order >= WORKER_DRAIN)
		return QUIET_MS;
	if (list == CONN_WANT_HEADER || list == CONN_WANT_REST)
		return PROXY_HEADER_MS;
	if (list == CONN_WANT_TAKEN)
		return worker->settings.send_ms;
	return list == CONN_WANT_READ ? worker->idle_ms : 0;
}

/* When a connection has been idle for too long; UINT64_MAX: never. */
static uint64_t
idle_end_ms(const struct worker *worker, const struct conn *conn)
{
	uint64_t ms = profile_of(worker, conn)->idle_ms[conn->framing];

	return ms != 0 ? conn->active_ms + ms : UINT64_MAX;
}

/* Its time is over, but not because the client takes nothing. */
static void
expire_quiet(struct worker *worker, struct conn *conn)
{
	if (conn->want == CONN_WANT_LINGER)
		close_one(worker, conn, CLOSE_STOP);
	else if (conn->want == CONN_WANT_TAKEN)
		close_one(worker, conn, conn->close_reason);
	else if (worker->turn_order >= WORKER_DRAIN)
		follow(worker, conn, conn_finish(conn));
	else if (proxy_is_awaited(conn))
		follow_header(worker, conn, proxy_expire(conn, &worker->io));
	else if (!roster_note_untaken(&worker->roster, conn))
		close_one(worker, conn, CLOSE_IDLE);
}

/* Tries once more to serve it: epoll may not have reported it yet. */
static void
expire(struct worker *worker, struct conn *conn)
{
	bool drains = worker->turn_order >= WORKER_DRAIN;

	if ((!conn->untaken || drains) && serve(worker, conn))
		return;
	if (conn->want != CONN_WANT_WRITE &&
	    (drains || (conn->want != CONN_WANT_TAKEN && !conn->untaken)))
		expire_quiet(worker, conn);
	else if (!roster_note_progress(&worker->roster, conn))
		close_deaf(worker, conn,
		    conn->untaken ? CLOSE_IDLE : CLOSE_SEND_TIMEOUT);
}

/* The first of a list was quiet for as long as any of the list may be. */
static void
expire_first(struct worker *worker, int list, struct conn *conn)
{
	uint64_t end_ms = idle_end_ms(worker, conn);

	if (list == CONN_WANT_READ && !is_draining(worker) &&
	    end_ms > worker->roster.now_ms)
		roster_set_aside(&worker->roster, conn, end_ms);
	else
		expire(worker, conn);
}

/*
 * Expires those of a list, in any order, that have been idle for too long.
 * Returns when the next one will have been.
 */
static uint64_t
expire_idle(struct worker *worker, int list)
{
	uint64_t next_ms = UINT64_MAX;
	struct conn *conn = TAILQ_FIRST(&worker->roster.lists[list]), *next;

	for (; conn != NULL; conn = next) {
		uint64_t end_ms = idle_end_ms(worker, conn);
		next = TAILQ_NEXT(conn, link);
		if (end_ms <= worker->roster.now_ms)
			expire(worker, conn);
		else
			next_ms = MIN(next_ms, end_ms);
	}
	return next_ms;
}

/* When the patient ones are to be looked at; UINT64_MAX: there are none. */
static uint64_t
patient_ms(const struct worker *worker)
{
	const struct roster *roster = &worker->roster;

	if (TAILQ_EMPTY(&roster->lists[ROSTER_PATIENT]) || is_draining(worker))
		return UINT64_MAX;
	return MAX(roster->patient_ms, worker->patience_ms);
}

static void
expire_patient(struct worker *worker)
{
	if (patient_ms(worker) > worker->roster.now_ms)
		return;
	worker->roster.patient_ms = expire_idle(worker, ROSTER_PATIENT);
	worker->patience_ms = worker->roster.now_ms + PATIENCE_EVERY_MS;
}

static void
expire_all(struct worker *worker)
{
	for (int list = 0; list < ROSTER_LISTS; list++) {
		uint64_t limit = timeout_ms(worker, list);
		struct conn *conn;

		while (
		    limit != 0 &&
		    (conn = TAILQ_FIRST(&worker->roster.lists[list])) != NULL &&
		    worker->roster.now_ms - conn->active_ms >= limit)
			expire_first(worker, list, conn);
	}
	expire_patient(worker);
}

/* False: it goes on at the next turn. */
static bool
look(struct worker *worker)
{
	struct roster_burden first = { 0 };

	if (!roster_look(&worker->roster))
		return false;
	expire_idle(worker, ROSTER_UNTAKEN);
	roster_find_heaviest(&worker->roster, &first, 1);
	worker->burden = first.burden;
	budget_trim(worker);
	return true;
}

/*
 * Closes those that are to be closed first, until the budget is kept or another
 * worker has the first one.
 */
static void
close_heaviest(struct worker *worker)
{
	struct roster_burden found[RELIEF_MAX];
	size_t i = 0, count;

	count = roster_find_heaviest(&worker->roster, found, RELIEF_MAX);
	for (; i < count && budget_is_exceeded(worker); i++) {
		worker->burden = found[i].burden;
		if (budget_first(worker) != worker)
			return;
		budget_warn(worker);
		close_deaf(worker, found[i].conn, CLOSE_MEMORY);
	}
	if (i < count || count < RELIEF_MAX)
		worker->burden = i < count ? found[i].burden : 0;
}

/*
 * Closes what is over the budget; wakes the worker that has the next one, so
 * that clients are served in between.
 */
static void
relieve(struct worker *worker)
{
	if (!budget_is_exceeded(worker))
		return;
	/* What clients have taken since the last look decides. */
	if (worker->roster.now_ms - worker->roster.looked_ms >= FRESH_MS &&
	    !look(worker))
		return;
	close_heaviest(worker);
	budget_trim(worker);
	struct worker *first = budget_first(worker);
	if (budget_is_exceeded(worker) && first->burden != 0)
		eventfd_write(first->wake_fd, 1);
}

static uint64_t
look_ms(const struct worker *worker)
{
	return worker->turn_order < WORKER_DRAIN
	         ? roster_look_ms(&worker->roster)
	         : UINT64_MAX;
}

/* How long to wait: until the first connection expires; -1: without limit. */
static int
wait_ms(const struct worker *worker)
{
	uint64_t end_ms = MIN(look_ms(worker), client_log_due_ms(&worker->log));

	end_ms = MIN(end_ms, patient_ms(worker));
	for (int list = 0; list < ROSTER_LISTS; list++) {
		uint64_t limit = timeout_ms(worker, list);
		const struct conn *conn = TAILQ_FIRST(
		    &worker->roster.lists[list]);

		if (limit != 0 && conn != NULL)
			end_ms = MIN(end_ms, conn->active_ms + limit);
	}
	if (end_ms == UINT64_MAX)
		return -1;
	if (end_ms <= worker->roster.now_ms)
		return 0;
	return (int)MIN(end_ms - worker->roster.now_ms, (uint64_t)INT_MAX);
}

static void
tell_oldest(struct worker *worker)
{
	const struct conn *conn = roster_oldest(&worker->roster);

	worker->oldest.opened_ms = conn != NULL ? conn->opened_ms : UINT64_MAX;
	if (conn != NULL)
		client_log_who(conn, worker->oldest.who);
	worker->asked = false;
	eventfd_write(worker->shared->room_fd, 1);
}

static void
answer_ping(struct worker *worker)
{
	worker->pinged = false;
	if (worker->asked)
		tell_oldest(worker);
}

static void
wait_and_serve(struct worker *worker)
{
	/* Clearing it would cost 0.5 % of the time of a message. */
	struct epoll_event events[EVENTS_MAX] __attribute__((uninitialized));
	int n = epoll_wait(worker->epoll_fd, events, EVENTS_MAX,
	    wait_ms(worker));

	if (worker->pinged)
		answer_ping(worker);
	worker->turn_order = worker->order;
	admit_dispatched(worker);
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL) {
			serve(worker, events[i].data.ptr);
			bulk_note_round(&worker->io.loan,
			    n == 1 ? events[i].data.ptr : NULL);
		}
	if (worker->turn_order == WORKER_HAND_OVER)
		hand_over_all(worker);
	expire_all(worker);
	if (look_ms(worker) <= worker->roster.now_ms)
		look(worker);
	if (client_log_due_ms(&worker->log) <= worker->roster.now_ms)
		client_log_flush(&worker->log, worker->roster.now_ms);
	relieve(worker);
}

/* Whether its client has stopped taking its replies. */
static bool
is_deaf(const struct worker *worker, struct conn *conn, int list)
{
	return list > CONN_WANT_REST && list != CONN_WANT_LINGER &&
	       list != ROSTER_PATIENT &&
	       worker->roster.now_ms - conn->active_ms >= DEAF_MS &&
	       conn_progress(conn) == 0;
}

static void
close_all(struct worker *worker)
{
	struct conn *conn;

	for (int list = 0; list < ROSTER_LISTS; list++)
		while (
		    (conn = TAILQ_FIRST(&worker->roster.lists[list])) != NULL) {
			if (is_deaf(worker, conn, list))
				conn_discard(conn);
			close_one(worker, conn, CLOSE_STOP);
		}
}

void *
worker_run(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker-%d", worker->number);
	pthread_setname_np(pthread_self(), name);
	while (worker->order < WORKER_ABORT &&
	       !(worker->order >= WORKER_FINISH && worker->load == 0))
		wait_and_serve(worker);
	admit_dispatched(worker);
	close_all(worker);
	client_log_flush(&worker->log, UINT64_MAX);
	worker->ended = true;
	eventfd_write(worker->shared->done_fd, 1);
	return NULL;
}
