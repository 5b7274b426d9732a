#include "stream/worker.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_MAX 256
#define WANTS CONN_WANT_CLOSE /* the wants of an open connection */

/*
 * In a stop a connection is finished after this time without data, and closed
 * after this time without the client's end.
 */
#define QUIET_MS 200

struct worker {
	/* Both threads. */
	_Atomic(struct conn *) dispatched; /* a stack, newest first */
	_Atomic(struct worker_settings *) next_settings;
	_Atomic int order;
	_Atomic int load;
	_Atomic bool pinged; /* the loop has not run since */
	_Atomic bool ended;
	int wake_fd; /* eventfd */
	struct worker_shared *shared;
	struct counters counters; /* the worker adds, all read */

	/* The main thread. */
	pthread_t thread;

	/* The worker. */
	int number, epoll_fd;
	struct worker_settings settings;
	struct conn_list conns[WANTS]; /* by want; longest quiet first */
	struct conn_list handed_over;
	uint64_t now_ms;
	struct conn_io io;
};

/* Tells the acceptor, if it waits for it, that there is room. */
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
	TAILQ_REMOVE(&worker->conns[conn->want], conn, link);
	conn_close(conn, &worker->counters, reason, worker->now_ms);
	release_connection(worker);
}

/* Has epoll report when conn is ready for want; -1 with errno. */
static int
watch(struct worker *worker, struct conn *conn, enum conn_want want)
{
	uint8_t events = want == CONN_WANT_WRITE ? EPOLLOUT : EPOLLIN;
	struct epoll_event event = { .events = events, .data.ptr = conn };
	int op = conn->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (events == conn->events)
		return 0;
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
	} else {
		TAILQ_REMOVE(&worker->conns[conn->want], conn, link);
		conn->want = want;
		conn->active_ms = worker->now_ms;
		TAILQ_INSERT_TAIL(&worker->conns[want], conn, link);
	}
}

/* False: conn was not ready, and its timeout continues to run. */
static bool
serve(struct worker *worker, struct conn *conn)
{
	uint64_t before = conn->bytes_in + conn->bytes_out;
	enum conn_want want = conn_ready(conn, &worker->io);

	if (want == conn->want && conn->bytes_in + conn->bytes_out == before)
		return false;
	follow(worker, conn, want);
	return true;
}

static void
use_next_settings(struct worker *worker)
{
	struct worker_settings *next = NULL;

	if (worker->next_settings != NULL)
		next = atomic_exchange(&worker->next_settings, NULL);
	if (next == NULL)
		return;
	worker->settings = *next;
	worker->io.arrival = next->arrival;
	stamp_init(&worker->io.stamp, &next->stamp);
	free(next);
}

/*
 * A connection of the process before this one may have been quiet for longer
 * than all others; such ones come with the longest quiet last.
 */
static void
admit(struct worker *worker, struct conn *conn)
{
	struct conn_list *list = &worker->conns[conn->want];
	const struct conn *first = TAILQ_FIRST(list);

	if (first != NULL && conn->active_ms < first->active_ms)
		TAILQ_INSERT_HEAD(list, conn, link);
	else
		TAILQ_INSERT_TAIL(list, conn, link);
	if (!serve(worker, conn) && watch(worker, conn, conn->want) == -1)
		close_one(worker, conn, CLOSE_ERROR);
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
	/* After taking the connections: neither may be older than they are. */
	use_next_settings(worker);
	worker->now_ms = clock_ms();
	for (; conn != NULL; conn = next) {
		next = conn->link.tqe_next;
		conn->link.tqe_next = oldest;
		oldest = conn;
	}
	for (conn = oldest; conn != NULL; conn = next) {
		next = conn->link.tqe_next;
		admit(worker, conn);
	}
}

/* Keeps the connections for worker_join to return. */
static void
hand_over_all(struct worker *worker)
{
	struct conn *conn;

	for (int want = 0; want < CONN_WANT_LINGER; want++) {
		TAILQ_FOREACH (conn, &worker->conns[want], link) {
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, conn->fd,
			    NULL);
			conn->events = 0;
			release_connection(worker);
		}
		TAILQ_CONCAT(&worker->handed_over, &worker->conns[want], link);
	}
}

/* How long a connection may be quiet; 0: for ever. */
static uint64_t
timeout_ms(const struct worker *worker, int want)
{
	if (want == CONN_WANT_WRITE)
		return worker->settings.send_ms;
	if (want == CONN_WANT_LINGER || worker->order >= WORKER_DRAIN)
		return QUIET_MS;
	return worker->settings.idle_ms;
}

/* Tries once more to serve it: epoll may not have reported it yet. */
static void
expire(struct worker *worker, struct conn *conn)
{
	if (serve(worker, conn))
		return;
	if (conn->want == CONN_WANT_LINGER)
		close_one(worker, conn, CLOSE_STOP);
	else if (conn->want == CONN_WANT_READ && worker->order < WORKER_DRAIN)
		close_one(worker, conn, CLOSE_IDLE);
	else if (conn->want == CONN_WANT_READ)
		follow(worker, conn, conn_finish(conn));
	else if (conn_progressed(conn))
		follow(worker, conn, CONN_WANT_WRITE);
	else
		close_one(worker, conn, CLOSE_SEND_TIMEOUT);
}

static void
expire_all(struct worker *worker)
{
	for (int want = 0; want < WANTS; want++) {
		uint64_t limit = timeout_ms(worker, want);
		struct conn *conn;

		while (limit != 0 &&
		       (conn = TAILQ_FIRST(&worker->conns[want])) != NULL &&
		       worker->now_ms - conn->active_ms >= limit)
			expire(worker, conn);
	}
}

/* How long to wait: until the first connection expires; -1: without limit. */
static int
wait_ms(const struct worker *worker)
{
	uint64_t end_ms = UINT64_MAX;

	for (int want = 0; want < WANTS; want++) {
		uint64_t limit = timeout_ms(worker, want);
		const struct conn *conn = TAILQ_FIRST(&worker->conns[want]);

		if (limit != 0 && conn != NULL)
			end_ms = MIN(end_ms, conn->active_ms + limit);
	}
	if (end_ms == UINT64_MAX)
		return -1;
	if (end_ms <= worker->now_ms)
		return 0;
	return (int)MIN(end_ms - worker->now_ms, (uint64_t)INT_MAX);
}

static void
wait_and_serve(struct worker *worker)
{
	/* Clearing it would cost 0.5 % of the time of a message. */
	struct epoll_event events[EVENTS_MAX] __attribute__((uninitialized));
	int n = epoll_wait(worker->epoll_fd, events, EVENTS_MAX,
	    wait_ms(worker));

	if (worker->pinged)
		worker->pinged = false;
	admit_dispatched(worker);
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			serve(worker, events[i].data.ptr);
	if (worker->order == WORKER_HAND_OVER)
		hand_over_all(worker);
	expire_all(worker);
}

static void *
worker_run(void *arg)
{
	struct worker *worker = arg;
	struct conn *conn;
	char name[16];

	snprintf(name, sizeof(name), "worker-%d", worker->number);
	pthread_setname_np(pthread_self(), name);
	while (worker->order < WORKER_ABORT &&
	       !(worker->order >= WORKER_FINISH && worker->load == 0))
		wait_and_serve(worker);
	admit_dispatched(worker);
	for (int want = 0; want < WANTS; want++)
		while ((conn = TAILQ_FIRST(&worker->conns[want])) != NULL)
			close_one(worker, conn, CLOSE_STOP);
	worker->ended = true;
	eventfd_write(worker->shared->done_fd, 1);
	return NULL;
}

static void
worker_free(struct worker *worker)
{
	close(worker->epoll_fd);
	close(worker->wake_fd);
	free(worker->next_settings);
	free(worker);
}

/* wake_fd is edge-triggered: each write is an event, and nobody reads it. */
static int
open_fds(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->epoll_fd == -1 || worker->wake_fd == -1)
		return -1;
	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd,
	    &event);
}

struct worker *
worker_start(int number, struct worker_shared *shared)
{
	/* calloc does not know that the counters need aligned memory. */
	struct worker *worker = aligned_alloc(_Alignof(struct worker),
	    sizeof(*worker));

	if (worker == NULL)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->shared = shared;
	worker->io.counters = &worker->counters;
	for (int want = 0; want < WANTS; want++)
		TAILQ_INIT(&worker->conns[want]);
	TAILQ_INIT(&worker->handed_over);
	int rc = open_fds(worker) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&worker->thread, NULL, worker_run, worker);
	if (rc == 0)
		return worker;
	worker_free(worker);
	errno = rc;
	return NULL;
}

void
worker_dispatch(struct worker *worker, struct conn *conn)
{
	struct conn *top = worker->dispatched;

	worker->load++;
	do
		conn->link.tqe_next = top;
	while (!atomic_compare_exchange_weak(&worker->dispatched, &top, conn));
	/* Otherwise the worker was woken for the first, and will take all. */
	if (top == NULL)
		eventfd_write(worker->wake_fd, 1);
}

int
worker_load(const struct worker *worker)
{
	return worker->load;
}

int
worker_configure(struct worker *worker, const struct worker_settings *settings)
{
	struct worker_settings *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return -1;
	*copy = *settings;
	free(atomic_exchange(&worker->next_settings, copy));
	eventfd_write(worker->wake_fd, 1);
	return 0;
}

void
worker_order(struct worker *worker, enum worker_order order)
{
	if ((int)order > worker->order)
		worker->order = order;
	eventfd_write(worker->wake_fd, 1);
}

void
worker_ping(struct worker *worker)
{
	worker->pinged = true;
	eventfd_write(worker->wake_fd, 1);
}

bool
worker_is_responsive(const struct worker *worker)
{
	return worker->ended || !worker->pinged;
}

bool
worker_has_ended(const struct worker *worker)
{
	return worker->ended;
}

const struct counters *
worker_counters(const struct worker *worker)
{
	return &worker->counters;
}

void
worker_join(struct worker *worker, struct counters *sum,
    struct conn_list *handed_over)
{
	pthread_join(worker->thread, NULL);
	counters_sum(sum, &worker->counters);
	TAILQ_CONCAT(handed_over, &worker->handed_over, link);
	worker_free(worker);
}
