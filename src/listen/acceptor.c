#include "listen/acceptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/sockaddr.h"
#include "net/sockopt.h"
#include "stream/conn.h"
#include "stream/proxy.h"

#define BATCH_MAX 128 /* then signals and other listeners are served */
#define PROBE_EVERY 16
#define PAUSE_MS 100

enum { SHORTAGE, FULL, STRANGER }; /* what logged_ms is of */

static const struct log_about paused = { .message_id = LOG_ID_ACCEPT_PAUSED };

int
acceptor_add(struct acceptor *acceptor, struct listener *listener)
{
	struct epoll_event event = { EPOLLIN, { .ptr = listener } };

	if (acceptor->resume_ms != 0 ||
	    epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_ADD, listener->fd,
		&event) == 0)
		return 0;
	return errno == EEXIST ? 0 : -1;
}

void
acceptor_remove(struct acceptor *acceptor, struct listener *listener)
{
	epoll_ctl(acceptor->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
}

/* Whether to log what clients can cause often. */
static bool
may_log(struct acceptor *acceptor, int what, uint64_t now_ms)
{
	return clock_minute_passed(&acceptor->logged_ms[what], now_ms);
}

/* After an error of accept; problem 0: max_connections are open. */
static void
begin_pause(struct acceptor *acceptor, int problem)
{
	uint64_t now_ms = clock_ms();
	struct listener *listener;

	acceptor->resume_ms = problem == 0 ? ACCEPTOR_FULL : now_ms + PAUSE_MS;
	acceptor->failures = 0;
	counters_add(acceptor->counters, COUNTER_ACCEPT_PAUSES, 1);
	/* Epoll would report a listener again and again; one that is shut down
	 * even when it watches for no event. */
	TAILQ_FOREACH (listener, acceptor->listeners, link)
		if (!protocol_is_datagram(listener->config.protocol))
			acceptor_remove(acceptor, listener);
	if (!may_log(acceptor, problem == 0 ? FULL : SHORTAGE, now_ms))
		return;
	if (problem == 0)
		log_about(LOG_WARNING, &paused,
		    "max_connections (%d) are open: new clients will wait "
		    "until one closes",
		    acceptor->pool->max_connections);
	else
		log_about(LOG_WARNING, &paused,
		    "accept: %s: new clients wait, next try in %d ms",
		    strerror(problem), PAUSE_MS);
}

static void
resume(struct acceptor *acceptor)
{
	struct listener *listener;

	acceptor->resume_ms = 0;
	TAILQ_FOREACH (listener, acceptor->listeners, link)
		if (!protocol_is_datagram(listener->config.protocol) &&
		    acceptor_add(acceptor, listener) == -1) {
			begin_pause(acceptor, errno);
			return;
		}
}

/* Errors of one connection, or of the network it came by; see accept(2). */
static bool
concerns_client_alone(int problem)
{
	static const int problems[] = { EINTR, ECONNABORTED, EPERM, EPROTO,
		ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,
		ENONET, EOPNOTSUPP, ETIMEDOUT };

	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
		if (problem == problems[i])
			return true;
	return false;
}

/* False when no client waits. */
static bool
handle_error(struct acceptor *acceptor, struct listener *listener, int problem)
{
	/* A Unix listener that drains has EINVAL when its backlog is empty. */
	if (problem == EAGAIN ||
	    (problem == EINVAL && listener->state == LISTENER_DRAINING)) {
		listener->early = false;
		return false;
	}
	if (!concerns_client_alone(problem)) {
		begin_pause(acceptor, problem);
		return true;
	}
	if (problem != EINTR)
		counters_add(acceptor->counters, COUNTER_ACCEPT_ERRORS, 1);
	/* So many in a row do not concern one client: retry later. */
	if (++acceptor->failures == BATCH_MAX)
		begin_pause(acceptor, problem);
	return true;
}

void
acceptor_use_access(struct acceptor *acceptor, struct access *access)
{
	access_release(acceptor->access);
	acceptor->access = access_hold(access);
}

/* Of a listener, or of none. */
static struct access *
find_access(const struct acceptor *acceptor, const struct listener *listener)
{
	bool has_own = listener != NULL && listener->config.access != NULL;

	return has_own ? listener->config.access : acceptor->access;
}

/* The one that accepted conn, as far as its address tells; NULL: it is gone. */
static const struct listener *
find_listener(const struct acceptor *acceptor, const struct conn *conn)
{
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	const struct listener *listener, *found = NULL;

	if (getsockname(conn->fd, &local.any, &local.len) == -1)
		return NULL;
	TAILQ_FOREACH (listener, acceptor->listeners, link) {
		const struct sockaddr_any *bound = &listener->bound;
		if (listener->config.protocol != conn->protocol)
			continue;
		if (sockaddr_equal(bound, &local))
			return listener;
		/* 0.0.0.0 and :: may be listeners of their own. */
		if (sockaddr_is_any(bound) &&
		    bound->any.sa_family == local.any.sa_family &&
		    sockaddr_port(bound) == sockaddr_port(&local))
			found = listener;
	}
	return found;
}

/* What makes another process's header one of ours. */
static void
adopt_proxy(struct acceptor *acceptor, const struct listener *listener,
    struct proxy *proxy)
{
	proxy->access = access_hold(find_access(acceptor, listener));
	proxy->sources = &acceptor->sources;
	proxy->source_max = acceptor->source_max;
}

void
acceptor_count(struct acceptor *acceptor, struct conn *conn)
{
	const struct listener *listener = find_listener(acceptor, conn);
	const struct proxy *proxy = conn->proxy;
	struct sockaddr_any client;

	conn->profile = listener != NULL ? listener->profile : 0;
	/* Who is believed counts for none until the header has come. */
	if (proxy_is_awaited(conn))
		adopt_proxy(acceptor, listener, conn->proxy);
	if ((proxy == NULL || proxy->due == PROXY_KNOWN ||
		proxy->due == PROXY_NOT) &&
	    proxy_find_client(conn, &client))
		sources_take(&acceptor->sources, &client, 0,
		    &conn->source_count);
}

static void
warn_of_refusal(struct acceptor *acceptor, enum counter reason)
{
	if (reason == COUNTER_CLOSED_ADDRESS)
		sources_warn(&acceptor->sources, acceptor->source_max);
	if (reason == COUNTER_CLOSED_PROXY_FROM &&
	    may_log(acceptor, STRANGER, clock_ms()))
		log_warning("connections from addresses that are not in "
			    "proxy_from are closed where proxy_protocol = "
			    "\"require\"; log_level = \"debug\" shows which");
}

/* Leaves nothing of the connection, not even in the kernel. */
static void
refuse(struct acceptor *acceptor, const struct listener *listener, int fd,
    const struct sockaddr_any *peer, enum counter reason)
{
	struct linger none = { .l_onoff = 1 };
	char text[SOCKADDR_TEXT_MAX], why[64] = "denied by the lists";
	struct log_about about = { .listener = listener->name, .peer = text };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	counters_add(acceptor->counters, COUNTER_ACCEPTED, 1);
	counters_add(acceptor->counters, reason, 1);
	warn_of_refusal(acceptor, reason);
	if (!log_enabled(LOG_DEBUG))
		return;
	sockaddr_text(peer, false, text, sizeof(text));
	if (reason == COUNTER_CLOSED_ADDRESS)
		snprintf(why, sizeof(why),
		    "max_connections_per_address (%d) are open",
		    acceptor->source_max);
	else if (reason == COUNTER_CLOSED_PROXY_FROM)
		strcpy(why, "it is not in proxy_from");
	log_about(LOG_DEBUG, &about, "%s from %s: closed: %s", listener->name,
	    text, why);
}

/*
 * Why a client is refused at once; COUNTER_EVENTS: it is not, and *count counts
 * it.  A peer in proxy_from is neither looked up nor counted before its header.
 */
static enum counter
find_refusal(struct acceptor *acceptor, const struct listener *listener,
    const struct sockaddr_any *peer, enum proxy_due due, _Atomic int **count)
{
	if (due == PROXY_NOT && listener->config.proxy == PROXY_REQUIRE)
		return COUNTER_CLOSED_PROXY_FROM;
	if (due == PROXY_NEEDED || due == PROXY_MAYBE)
		return COUNTER_EVENTS;
	if (!access_allows(find_access(acceptor, listener), &peer->any))
		return COUNTER_CLOSED_DENIED;
	if (!sources_take(&acceptor->sources, peer, acceptor->source_max,
		count))
		return COUNTER_CLOSED_ADDRESS;
	return COUNTER_EVENTS;
}

/* NULL: out of memory, and fd remains the caller's. */
static struct conn *
make_conn(struct acceptor *acceptor, const struct listener *listener, int fd,
    enum proxy_due due)
{
	struct proxy proxy = {
		.due = due,
		.access = find_access(acceptor, listener),
		.sources = &acceptor->sources,
		.source_max = acceptor->source_max,
	};
	struct conn *conn = conn_new(fd, listener->config.protocol,
	    listener->config.framing, clock_ms());

	if (conn != NULL)
		conn->profile = listener->profile;
	if (conn == NULL || due == PROXY_NONE ||
	    proxy_attach(conn, &proxy) == 0)
		return conn;
	free(conn);
	return NULL;
}

static void
dispatch(struct acceptor *acceptor, const struct listener *listener, int fd,
    const struct sockaddr_any *peer)
{
	enum proxy_due due = proxy_find_due(&listener->config, peer);
	_Atomic int *count = NULL;
	enum counter refusal = find_refusal(acceptor, listener, peer, due,
	    &count);

	if (refusal != COUNTER_EVENTS) {
		refuse(acceptor, listener, fd, peer, refusal);
		return;
	}
	/* A client is served even where the kernel refuses an option. */
	if (listener->early || listener->config.protocol == PROTOCOL_UNIX)
		sockopt_set_up(fd, listener->config.protocol, AF_UNSPEC);
	if (listener->early && listener->config.protocol == PROTOCOL_TCP)
		sockopt_set_buffers(fd, listener->config.receive_buffer);
	struct conn *conn = make_conn(acceptor, listener, fd, due);

	counters_add(acceptor->counters, COUNTER_ACCEPTED, 1);
	if (conn == NULL) {
		if (count != NULL)
			--*count;
		counters_add(acceptor->counters, COUNTER_CLOSED_ERROR, 1);
		close(fd);
		return;
	}
	conn->source_count = count;
	worker_pool_dispatch(acceptor->pool, conn);
}

/* False when no client waits. */
static bool
accept_one(struct acceptor *acceptor, struct listener *listener)
{
	if (!worker_pool_has_room(acceptor->pool)) {
		begin_pause(acceptor, 0);
		return true;
	}
	struct sockaddr_any peer;
	peer.len = sizeof(peer.storage);
	int fd = accept4(listener->fd, &peer.any, &peer.len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return handle_error(acceptor, listener, errno);
	acceptor->failures = 0;
	listener->accepted++;
	dispatch(acceptor, listener, fd, &peer);
	return true;
}

/*
 * A try that finds no client costs nearly as much as an accept.  So a batch is
 * as long as the backlog was last time, grows while that is longer, and while
 * clients come singly only every 16th time tries for a second one.
 */
static void
adapt_batch(struct acceptor *acceptor, int accepted, bool more)
{
	if (!more)
		acceptor->batch = accepted;
	else if (acceptor->batch > 1)
		acceptor->batch *= 2;
	else if (++acceptor->singles % PROBE_EVERY == 0)
		acceptor->batch = 2;
	if (acceptor->batch > BATCH_MAX)
		acceptor->batch = BATCH_MAX;
}

bool
acceptor_accept(struct acceptor *acceptor, struct listener *listener)
{
	/* These two states end when the backlog is found empty. */
	bool is_all = listener->state == LISTENER_DRAINING || listener->early;
	int max = is_all ? BATCH_MAX : acceptor->batch, count = 0;
	bool more;

	if (acceptor->resume_ms != 0)
		return true;
	do
		more = accept_one(acceptor, listener);
	while (more && ++count < max && acceptor->resume_ms == 0);
	adapt_batch(acceptor, count, more);
	return more;
}

void
acceptor_note_room(struct acceptor *acceptor)
{
	worker_pool_note_room(acceptor->pool);
	if (acceptor->resume_ms == ACCEPTOR_FULL)
		resume(acceptor);
}

void
acceptor_note_time(struct acceptor *acceptor, uint64_t now_ms)
{
	if (acceptor->resume_ms != 0 && acceptor->resume_ms <= now_ms)
		resume(acceptor);
}

int
acceptor_wait_ms(const struct acceptor *acceptor, uint64_t now_ms)
{
	if (acceptor->resume_ms == 0 || acceptor->resume_ms == ACCEPTOR_FULL)
		return -1;
	return acceptor->resume_ms <= now_ms
	         ? 0
	         : (int)(acceptor->resume_ms - now_ms);
}
