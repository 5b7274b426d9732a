#include "stream/worker.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_MAX 256
#define WANTS CONN_WANT_CLOSE /* the wants of a connection that lives */

/*
 * When the server stops, a connection on which nothing has come for so long is
 * closed; and so long its client has to close its own side.
 */
#define QUIET_MS 200

struct worker {
	/* Both threads. */
	_Atomic(struct conn *) incoming; /* linked by link.tqe_next */
	_Atomic(struct conn *) giving;   /* incoming, but not polled yet */
	_Atomic(struct worker_settings *) next_settings;
	_Atomic int order;
	_Atomic int load;
	_Atomic bool asleep; /* until wake_fd is written to */
	_Atomic bool ended;
	_Atomic bool pinged;    /* and the loop has not turned since */
	_Atomic bool lost_some; /* an incoming one has no events */
	int epoll_fd, wake_fd;
	struct counters counters; /* the worker adds, all read */

	/* The main thread. */
	pthread_t thread;

	/* The worker. */
	int number, done_fd;
	struct slots *slots;
	struct worker_settings settings;
	struct conn_list conns[WANTS]; /* by want; the quietest first */
	struct conn_list left;         /* the main thread's after the join */
	bool rested;     /* a whole idle time has passed without a connection */
	int full_rounds; /* with as many events as there is room for, in a row */
	uint64_t now_ms;
	struct conn_io io;
};

static void
worker_close(struct worker *worker, struct conn *conn, enum counter cause)
{
	TAILQ_REMOVE(&worker->conns[conn->want], conn, link);
	conn_close(conn, &worker->counters, cause, worker->now_ms);
	worker->load--;
	slots_give(worker->slots);
}

/*
 * Takes over what the acceptor has handed in: the newest comes first there, and
 * last in the list.
 */
static void
take_incoming(struct worker *worker)
{
	struct conn_list *list = &worker->conns[CONN_WANT_READ];
	struct conn *before = TAILQ_LAST(list, conn_list), *conn, *next;

	if (atomic_load_explicit(&worker->incoming, memory_order_relaxed) ==
	    NULL)
		return;
	conn = atomic_exchange(&worker->incoming, NULL);
	for (; conn != NULL; conn = next) {
		next = conn->link.tqe_next;
		if (conn->want != CONN_WANT_READ)
			TAILQ_INSERT_TAIL(&worker->conns[conn->want], conn,
			    link);
		else if (before == NULL)
			TAILQ_INSERT_HEAD(list, conn, link);
		else
			TAILQ_INSERT_AFTER(list, before, conn, link);
	}
	worker->rested = false;
}

static void
drop_lost(struct worker *worker)
{
	struct conn *conn, *next;

	for (int want = 0; want < WANTS; want++)
		for (conn = TAILQ_FIRST(&worker->conns[want]); conn != NULL;
		     conn = next) {
			next = TAILQ_NEXT(conn, link);
			if (conn->lost)
				worker_close(worker, conn,
				    COUNTER_CLOSED_ERROR);
		}
}

/* Parts with the connections, for worker_join to return. */
static void
set_aside(struct worker *worker)
{
	struct conn *conn;

	for (int want = 0; want < CONN_WANT_LINGER; want++)
		while ((conn = TAILQ_FIRST(&worker->conns[want])) != NULL) {
			TAILQ_REMOVE(&worker->conns[want], conn, link);
			epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, conn->fd,
			    NULL);
			TAILQ_INSERT_TAIL(&worker->left, conn, link);
			worker->load--;
			slots_give(worker->slots);
		}
}

static void
use_settings(struct worker *worker, const struct worker_settings *settings)
{
	worker->settings = *settings;
	worker->io.arrival = settings->arrival;
	stamp_init(&worker->io.stamp, &settings->stamp);
}

static void
take_settings(struct worker *worker)
{
	struct worker_settings *settings =
	    atomic_exchange(&worker->next_settings, NULL);

	if (settings == NULL)
		return;
	use_settings(worker, settings);
	free(settings);
}

static uint64_t
timeout_ms(const struct worker *worker, enum conn_want want)
{
	if (want == CONN_WANT_WRITE)
		return worker->settings.send_ms;
	if (want == CONN_WANT_LINGER || worker->order >= WORKER_DRAIN)
		return QUIET_MS;
	return worker->settings.idle_ms;
}

/* Does as the connection wants, having served it. */
static void
follow(struct worker *worker, struct conn *conn, enum conn_want want,
    enum counter cause)
{
	struct epoll_event event = {
		.events = want == CONN_WANT_WRITE ? EPOLLOUT : EPOLLIN,
		.data.ptr = conn,
	};

	if (want == CONN_WANT_CLOSE) {
		worker_close(worker, conn, cause);
		return;
	}
	if (want != conn->want &&
	    (want == CONN_WANT_WRITE || conn->want == CONN_WANT_WRITE) &&
	    epoll_ctl(worker->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) ==
		-1) {
		worker_close(worker, conn, COUNTER_CLOSED_ERROR);
		return;
	}
	TAILQ_REMOVE(&worker->conns[conn->want], conn, link);
	conn->want = (uint8_t)want;
	conn->active_ms = worker->now_ms;
	TAILQ_INSERT_TAIL(&worker->conns[want], conn, link);
}

static void
serve(struct worker *worker, struct conn *conn)
{
	enum counter cause;
	uint64_t before = conn->bytes_in + conn->bytes_out;
	enum conn_want want = conn_ready(conn, &worker->io, &cause);

	/* No progress: its time goes on running out. */
	if (want == conn->want && conn->bytes_in + conn->bytes_out == before)
		return;
	follow(worker, conn, want, cause);
}

static void
expire(struct worker *worker, struct conn *conn)
{
	enum counter cause = COUNTER_CLOSED_STOP;

	if (conn == worker->giving) {
		/* The acceptor still has the fd in its hands: another time. */
		follow(worker, conn, (enum conn_want)conn->want, cause);
		return;
	}
	switch (conn->want) {
	case CONN_WANT_READ:
		if (worker->order < WORKER_DRAIN)
			worker_close(worker, conn, COUNTER_CLOSED_IDLE);
		else
			follow(worker, conn,
			    conn_finish(conn, &worker->io, &cause), cause);
		break;
	case CONN_WANT_WRITE:
		if (conn_progressed(conn))
			follow(worker, conn, CONN_WANT_WRITE, cause);
		else
			worker_close(worker, conn, COUNTER_CLOSED_SEND_TIMEOUT);
		break;
	default:
		worker_close(worker, conn, COUNTER_CLOSED_STOP);
	}
}

static void
expire_all(struct worker *worker)
{
	for (int want = 0; want < WANTS; want++) {
		uint64_t limit = timeout_ms(worker, (enum conn_want)want);
		struct conn *conn;

		while (limit != 0 &&
		       (conn = TAILQ_FIRST(&worker->conns[want])) != NULL &&
		       worker->now_ms - conn->active_ms >= limit)
			expire(worker, conn);
	}
}

static void
close_all(struct worker *worker)
{
	struct conn *conn;

	for (int want = 0; want < WANTS; want++)
		while ((conn = TAILQ_FIRST(&worker->conns[want])) != NULL)
			worker_close(worker, conn, COUNTER_CLOSED_STOP);
}

static bool
is_empty(const struct worker *worker)
{
	for (int want = 0; want < WANTS; want++)
		if (!TAILQ_EMPTY(&worker->conns[want]))
			return false;
	return worker->incoming == NULL;
}

/* Time until the first connection expires; UINT64_MAX when none will. */
static uint64_t
next_expiry_ms(const struct worker *worker)
{
	uint64_t soonest = UINT64_MAX;

	for (int want = 0; want < WANTS; want++) {
		uint64_t limit = timeout_ms(worker, (enum conn_want)want);
		const struct conn *conn = TAILQ_FIRST(&worker->conns[want]);

		if (limit == 0 || conn == NULL)
			continue;
		uint64_t quiet_ms = worker->now_ms - conn->active_ms;
		uint64_t left_ms = quiet_ms < limit ? limit - quiet_ms : 0;
		if (left_ms < soonest)
			soonest = left_ms;
	}
	return soonest;
}

/*
 * How long to wait for events.  A connection that is handed over meanwhile and
 * says nothing raises no event, so the wait must end before such a one could
 * expire as idle; for one that waits to send, the acceptor wakes the worker.
 * Only after an idle time without any connection does it wait without end, and
 * then the acceptor wakes it.
 */
static int
wait_ms(struct worker *worker)
{
	uint64_t ms = next_expiry_ms(worker);
	uint64_t idle_ms = timeout_ms(worker, CONN_WANT_READ);

	if (ms == UINT64_MAX && (worker->rested || idle_ms == 0)) {
		worker->asleep = true;
		return worker->incoming == NULL ? -1 : 0;
	}
	if (idle_ms != 0 && idle_ms < ms)
		ms = idle_ms;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/*
 * Whether every connection that has something to say has been served: epoll
 * reports those that are ready in turn, so many rounds as this go over all.
 */
static bool
all_served(struct worker *worker, int events)
{
	worker->full_rounds = events == EVENTS_MAX ? worker->full_rounds + 1
	                                           : 0;
	if (worker->full_rounds != 0 &&
	    worker->full_rounds <= worker->load / EVENTS_MAX + 1)
		return false;
	worker->full_rounds = 0;
	return true;
}

/*
 * Comes before a look at what the main thread wants: whatever it wants after
 * this look wakes the worker once more.
 */
static void
clear_wake(struct worker *worker, const struct epoll_event *events, int n)
{
	eventfd_t count;

	for (int i = 0; i < n; i++)
		if (events[i].data.ptr == NULL)
			eventfd_read(worker->wake_fd, &count);
}

static void
handle_events(struct worker *worker, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			serve(worker, events[i].data.ptr);
}

static void
wait_and_serve(struct worker *worker)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(worker->epoll_fd, events, EVENTS_MAX,
	    wait_ms(worker));

	clear_wake(worker, events, n);
	if (worker->asleep)
		worker->asleep = false;
	if (worker->pinged)
		worker->pinged = false;
	/* The lost one is in by the time that this is said of it. */
	bool lost_some = worker->lost_some &&
	                 atomic_exchange(&worker->lost_some, false);
	take_incoming(worker);
	/* After the hand-over: no connection may be younger than now. */
	worker->now_ms = clock_ms();
	take_settings(worker);
	handle_events(worker, events, n);
	if (lost_some)
		drop_lost(worker);
	if (worker->order == WORKER_HAND_OVER)
		set_aside(worker);
	/* Until then, one that has something to say may look quiet; as after
	 * a stop of the process, which ends the wait with EINTR. */
	if (n != -1 && all_served(worker, n))
		expire_all(worker);
	worker->rested = n == 0 && next_expiry_ms(worker) == UINT64_MAX;
}

static void *
worker_run(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof(name), "worker-%d", worker->number);
	pthread_setname_np(pthread_self(), name);
	while (worker->order < WORKER_ABORT &&
	       !(worker->order >= WORKER_FINISH && is_empty(worker)))
		wait_and_serve(worker);
	take_incoming(worker);
	worker->now_ms = clock_ms();
	close_all(worker);
	worker->ended = true;
	eventfd_write(worker->done_fd, 1);
	return NULL;
}

static void
worker_free(struct worker *worker)
{
	if (worker->epoll_fd != -1)
		close(worker->epoll_fd);
	if (worker->wake_fd != -1)
		close(worker->wake_fd);
	free(worker->next_settings);
	free(worker);
}

static int
open_fds(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->epoll_fd == -1 || worker->wake_fd == -1)
		return -1;
	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd,
	    &event);
}

struct worker *
worker_start(int number, const struct worker_settings *settings,
    struct slots *slots, int done_fd)
{
	/* The counters have cache lines of their own; calloc can't tell. */
	struct worker *worker = aligned_alloc(_Alignof(struct worker),
	    sizeof(*worker));

	if (worker == NULL)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->slots = slots;
	worker->done_fd = done_fd;
	worker->io.counters = &worker->counters;
	use_settings(worker, settings);
	for (int want = 0; want < WANTS; want++)
		TAILQ_INIT(&worker->conns[want]);
	TAILQ_INIT(&worker->left);
	int rc = open_fds(worker) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&worker->thread, NULL, worker_run, worker);
	if (rc != 0) {
		worker_free(worker);
		errno = rc;
		return NULL;
	}
	return worker;
}

static void
wake(struct worker *worker)
{
	eventfd_write(worker->wake_fd, 1);
}

void
worker_dispatch(struct worker *worker, struct conn *conn)
{
	struct epoll_event event = {
		.events = conn->want == CONN_WANT_WRITE ? EPOLLOUT : EPOLLIN,
		.data.ptr = conn,
	};
	int fd = conn->fd;
	/* The wait may be longer than its time to send. */
	bool is_hasty = conn->want == CONN_WANT_WRITE;

	worker->load++;
	worker->giving = conn;
	conn->link.tqe_next = worker->incoming;
	while (!atomic_compare_exchange_weak(&worker->incoming,
	    &conn->link.tqe_next, conn))
		;
	/* After an event the worker may have freed it already. */
	bool lost = epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) ==
	          -1;
	if (lost) {
		conn->lost = true;
		worker->lost_some = true;
	}
	worker->giving = NULL;
	if (lost || is_hasty || worker->asleep)
		wake(worker);
}

int
worker_load(const struct worker *worker)
{
	return worker->load;
}

int
worker_set(struct worker *worker, const struct worker_settings *settings)
{
	struct worker_settings *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return -1;
	*copy = *settings;
	free(atomic_exchange(&worker->next_settings, copy));
	wake(worker);
	return 0;
}

void
worker_order(struct worker *worker, enum worker_order order)
{
	if ((int)order > worker->order)
		worker->order = order;
	wake(worker);
}

void
worker_ping(struct worker *worker)
{
	worker->pinged = true;
	wake(worker);
}

bool
worker_is_responsive(const struct worker *worker)
{
	return worker->ended || !worker->pinged;
}

const struct counters *
worker_counters(const struct worker *worker)
{
	return &worker->counters;
}

void
worker_join(struct worker *worker, struct counters *sum, struct conn_list *left)
{
	pthread_join(worker->thread, NULL);
	counters_sum(sum, &worker->counters);
	TAILQ_CONCAT(left, &worker->left, link);
	worker_free(worker);
}
