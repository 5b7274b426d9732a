#include "listen/acceptor.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/sockopt.h"
#include "stream/conn.h"

#define BATCH 128 /* then signals and other listeners have their turn */
#define PAUSE_MS 100
#define LOG_EVERY_MS 60000 /* clients cause these lines: they must not flood */

static const struct log_about paused = { .message_id = LOG_ID_ACCEPT_PAUSED };

bool
acceptor_is_paused(const struct acceptor *acceptor)
{
	return acceptor->full || acceptor->resume_ms != 0;
}

static int
watch(const struct acceptor *acceptor, struct listener *listener)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = listener,
	};
	int rc = epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_ADD, listener->fd,
	    &event);

	return rc == -1 && errno != EEXIST ? -1 : 0;
}

int
acceptor_add(struct acceptor *acceptor, struct listener *listener)
{
	return acceptor_is_paused(acceptor) ? 0 : watch(acceptor, listener);
}

void
acceptor_remove(struct acceptor *acceptor, struct listener *listener)
{
	epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
}

/*
 * A listener that no one accepts from would be reported again and again; one
 * that is shut down even when no event is asked for.
 */
static void
unwatch_all(struct acceptor *acceptor)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, acceptor->listeners, link)
		if (!protocol_is_datagram(listener->protocol))
			acceptor_remove(acceptor, listener);
}

static void
go_on(struct acceptor *acceptor)
{
	struct listener *listener;

	if (acceptor_is_paused(acceptor))
		return;
	TAILQ_FOREACH (listener, acceptor->listeners, link)
		if (!protocol_is_datagram(listener->protocol) &&
		    watch(acceptor, listener) == -1) {
			/* Memory is short: the whole once more, later. */
			unwatch_all(acceptor);
			acceptor->resume_ms = clock_ms() + PAUSE_MS;
			return;
		}
}

static bool
may_log(uint64_t *logged_ms, uint64_t now_ms)
{
	if (*logged_ms != 0 && now_ms - *logged_ms < LOG_EVERY_MS)
		return false;
	*logged_ms = now_ms;
	return true;
}

static void
pause_full(struct acceptor *acceptor)
{
	acceptor->full = true;
	counters_add(acceptor->counters, COUNTER_ACCEPT_PAUSES, 1);
	unwatch_all(acceptor);
	if (may_log(&acceptor->full_logged_ms, clock_ms()))
		log_about(LOG_WARNING, &paused,
		    "max_connections (%d) are open: new clients "
		    "will wait until one closes",
		    acceptor->pool->slots.max);
}

static void
pause_short(struct acceptor *acceptor, int problem)
{
	uint64_t now_ms = clock_ms();

	acceptor->resume_ms = now_ms + PAUSE_MS;
	counters_add(acceptor->counters, COUNTER_ACCEPT_PAUSES, 1);
	unwatch_all(acceptor);
	if (may_log(&acceptor->short_logged_ms, now_ms))
		log_about(LOG_WARNING, &paused,
		    "accept: %s: new clients wait, next try in %d ms",
		    strerror(problem), PAUSE_MS);
}

/* Errors of one connection, or of its way to us; see accept(2). */
static bool
concerns_client_alone(int problem)
{
	switch (problem) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

/* Whether to try for another client at once; *more: whether one may wait. */
static bool
after_error(struct acceptor *acceptor, struct listener *listener, int problem,
    bool *more)
{
	*more = true;
	if (concerns_client_alone(problem)) {
		if (problem != EINTR)
			counters_add(acceptor->counters, COUNTER_ACCEPT_ERRORS,
			    1);
		return true;
	}
	/* The first to come are the first to be accepted. */
	if (problem == EAGAIN)
		listener->early = false;
	/* EINVAL: a Unix listener that refuses has no one left. */
	if (problem == EAGAIN || (problem == EINVAL && listener->refusing))
		*more = false;
	else
		pause_short(acceptor, problem);
	return false;
}

static void
take(struct acceptor *acceptor, const struct listener *listener, int fd)
{
	/* What the kernel refuses, the client is served without. */
	if (listener->early || listener->protocol == PROTOCOL_UNIX)
		sockopt_set_up_conn(fd, listener->protocol);
	struct conn *conn = conn_new(fd, listener->protocol, listener->framing,
	    clock_ms());

	counters_add(acceptor->counters, COUNTER_ACCEPTED, 1);
	if (conn == NULL) {
		counters_add(acceptor->counters, COUNTER_CLOSED_ERROR, 1);
		close(fd);
		slots_give(&acceptor->pool->slots);
		return;
	}
	if (log_enabled(LOG_DEBUG))
		conn_announce(conn);
	worker_pool_dispatch(acceptor->pool, conn);
}

bool
acceptor_accept(struct acceptor *acceptor, struct listener *listener)
{
	bool more = true;
	int problem = 0, problems = 0;

	for (int i = 0; i < BATCH && !acceptor_is_paused(acceptor); i++) {
		if (!slots_take(&acceptor->pool->slots)) {
			pause_full(acceptor);
			break;
		}
		int fd = accept4(listener->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd != -1) {
			take(acceptor, listener, fd);
			continue;
		}
		problem = errno;
		problems++;
		slots_give(&acceptor->pool->slots);
		if (!after_error(acceptor, listener, problem, &more))
			break;
	}
	/* It is no client's own, then: another try would go the same way. */
	if (problems == BATCH)
		pause_short(acceptor, problem);
	return more;
}

void
acceptor_note_room(struct acceptor *acceptor)
{
	slots_clear_room(&acceptor->pool->slots);
	acceptor->full = false;
	go_on(acceptor);
}

void
acceptor_note_time(struct acceptor *acceptor, uint64_t now_ms)
{
	if (acceptor->resume_ms == 0 || now_ms < acceptor->resume_ms)
		return;
	acceptor->resume_ms = 0;
	go_on(acceptor);
}

int
acceptor_wait_ms(const struct acceptor *acceptor, uint64_t now_ms)
{
	if (acceptor->resume_ms == 0)
		return -1;
	return acceptor->resume_ms > now_ms
	         ? (int)(acceptor->resume_ms - now_ms)
	         : 0;
}
