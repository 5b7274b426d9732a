#include "stream/proxy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/prefix.h"
#include "net/proxy_header.h"

enum proxy_due
proxy_find_due(const struct listener_config *listener,
    const struct sockaddr_any *peer)
{
	bool is_believed = listener->protocol == PROTOCOL_UNIX;

	if (listener->proxy == PROXY_OFF)
		return PROXY_NONE;
	for (int i = 0; i < listener->proxy_from_count && !is_believed; i++)
		is_believed = prefix_holds(&listener->proxy_from[i],
		    &peer->any);
	if (!is_believed)
		return PROXY_NOT;
	return listener->proxy == PROXY_REQUIRE ? PROXY_NEEDED : PROXY_MAYBE;
}

int
proxy_attach(struct conn *conn, const struct proxy *proxy)
{
	conn->proxy = malloc(sizeof(*proxy));
	if (conn->proxy == NULL)
		return -1;
	*conn->proxy = *proxy;
	access_hold(proxy->access);
	if (proxy->due != PROXY_KNOWN)
		conn->want = CONN_WANT_HEADER;
	return 0;
}

void
proxy_detach(struct conn *conn)
{
	if (conn->proxy == NULL)
		return;
	access_release(conn->proxy->access);
	free(conn->proxy);
	conn->proxy = NULL;
}

bool
proxy_find_client(const struct conn *conn, struct sockaddr_any *client)
{
	if (conn->proxy != NULL && conn->proxy->due == PROXY_KNOWN) {
		*client = conn->proxy->client;
		return true;
	}
	client->len = sizeof(client->storage);
	return getpeername(conn->fd, &client->any, &client->len) == 0;
}

void
proxy_client_text(const struct conn *conn, char *text, size_t size)
{
	bool is_named = conn->proxy != NULL && conn->proxy->due == PROXY_KNOWN;
	struct sockaddr_any client;
	struct ucred identity;
	socklen_t len = sizeof(identity);

	if (!is_named && protocol_is_unix(conn->protocol) &&
	    getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &identity, &len) == 0)
		snprintf(text, size, "pid %d uid %u", identity.pid,
		    identity.uid);
	else if (proxy_find_client(conn, &client))
		sockaddr_text(&client, false, text, size);
	else
		snprintf(text, size, "unknown");
}

static enum conn_want
refuse(struct conn *conn, enum close_reason reason)
{
	conn->close_reason = reason;
	return CONN_WANT_CLOSE;
}

/* Says so once a minute: a balancer that sends no header loses every client. */
static enum conn_want
refuse_header(struct conn *conn)
{
	if (clock_minute_passed(&conn->proxy->sources->header_warned_ms,
		clock_ms()))
		log_warning("connections without a valid PROXY header are "
			    "closed: does the balancer send one? "
			    "log_level = \"debug\" shows which");
	return refuse(conn, CLOSE_PROXY);
}

/* Whether the client, which is known now, is served; then it is counted. */
static bool
may_serve(struct conn *conn)
{
	const struct proxy *proxy = conn->proxy;
	struct sockaddr_any client;

	conn->close_reason = CLOSE_DENIED;
	if (!proxy_find_client(conn, &client))
		return true;
	if (!access_allows(proxy->access, &client.any))
		return false;
	conn->close_reason = CLOSE_ADDRESS;
	if (sources_take(proxy->sources, &client, proxy->source_max,
		&conn->source_count))
		return true;
	sources_warn(proxy->sources, proxy->source_max);
	return false;
}

/*
 * The data follow.  The client is the one that a header named, if any did.  The
 * lists go: a reload makes new ones, and the connection may last for days.
 */
static enum conn_want
settle(struct conn *conn, bool is_to_judge)
{
	struct proxy *proxy = conn->proxy;

	if (is_to_judge && !may_serve(conn)) {
		conn_discard(conn);
		return refuse(conn, conn->close_reason);
	}
	access_release(proxy->access);
	proxy->access = NULL;
	if (proxy->due != PROXY_KNOWN)
		proxy_detach(conn);
	return CONN_WANT_READ;
}

static ssize_t
receive(int fd, char *data, size_t size, int flags)
{
	ssize_t n;

	do
		n = recv(fd, data, size, flags);
	while (n == -1 && errno == EINTR);
	return n;
}

/*
 * Takes the header out of the socket; the data behind it stay there.  Without
 * a client it is a check of the balancer's own, which must not fail because of
 * what holds for clients: their lists, and places that its network has taken.
 */
static enum conn_want
take(struct conn *conn, struct conn_io *io, const struct proxy_header *header)
{
	ssize_t n = receive(conn->fd, io->in, header->len, 0);

	if (n != (ssize_t)header->len)
		return n == -1 && errno == EAGAIN ? conn->want
		                                  : refuse(conn, CLOSE_ERROR);
	if (header->client.len == 0)
		return settle(conn, false);
	conn->proxy->due = PROXY_KNOWN;
	conn->proxy->client = header->client;
	return settle(conn, true);
}

/*
 * Decides by the n bytes that have come; if they are all that will ever come, a
 * part of a header is not valid, and a part of a signature is data.  A peer
 * that must not send a header is not waited for.
 */
static enum conn_want
decide(struct conn *conn, struct conn_io *io, size_t n, bool is_all)
{
	enum proxy_due due = conn->proxy->due;
	struct proxy_header header;
	enum proxy_header_form form = proxy_header_read(io->in, n, &header);

	if (form == PROXY_HEADER_MAYBE && due != PROXY_NEEDED &&
	    (is_all || due == PROXY_NOT))
		form = PROXY_HEADER_NONE;
	if (form == PROXY_HEADER_NONE && due != PROXY_NEEDED)
		return settle(conn, due == PROXY_MAYBE);
	if (due == PROXY_NOT)
		return refuse(conn, CLOSE_PROXY_FROM);
	if (form == PROXY_HEADER_WHOLE)
		return take(conn, io, &header);
	if (is_all || form == PROXY_HEADER_NONE || form == PROXY_HEADER_BAD)
		return refuse_header(conn);
	return CONN_WANT_REST;
}

static enum conn_want
look(struct conn *conn, struct conn_io *io, bool is_all)
{
	ssize_t n = receive(conn->fd, io->in, PROXY_HEADER_MAX, MSG_PEEK);

	if (n > 0)
		return decide(conn, io, (size_t)n, is_all);
	if (n == 0)
		return refuse(conn, CLOSE_CLIENT);
	if (errno != EAGAIN)
		return refuse(conn, CLOSE_ERROR);
	return is_all ? decide(conn, io, 0, true) : conn->want;
}

/* Behind the bytes that a peek shows no end is seen. */
static bool
has_ended(const struct conn *conn)
{
	struct pollfd end = { .fd = conn->fd, .events = POLLRDHUP };

	return poll(&end, 1, 0) == 1;
}

enum conn_want
proxy_ready(struct conn *conn, struct conn_io *io)
{
	enum conn_want want = look(conn, io, false);

	/* More may have come before the end: look again. */
	if (want == CONN_WANT_REST && has_ended(conn))
		want = look(conn, io, true);
	return want;
}

enum conn_want
proxy_expire(struct conn *conn, struct conn_io *io)
{
	return look(conn, io, true);
}
