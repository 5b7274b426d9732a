#ifndef STREAM_PROXY_H
#define STREAM_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/access.h"
#include "config/listener_config.h"
#include "net/sockaddr.h"
#include "stream/conn.h"
#include "stream/sources.h"

#define PROXY_HEADER_MS 5000 /* for its first byte, and again for the rest */

/* What is known of the PROXY header that a connection may begin with. */
enum proxy_due {
	PROXY_NONE,   /* it had none, or none is looked for */
	PROXY_KNOWN,  /* it has told who the client is */
	PROXY_NEEDED, /* it has to come first */
	PROXY_MAYBE,  /* it may come */
	PROXY_NOT,    /* it must not come: the source is not in proxy_from */
	PROXY_COUNT,
};

/*
 * Only a connection that waits for a header, or had one, has this; the owner of
 * the connection owns it.  A header stays in the socket until all of it has
 * come, so after a hand-over the next process reads it from its first byte.
 */
struct proxy {
	enum proxy_due due;
	struct access *access;   /* its lists; held until the client is known */
	struct sources *sources; /* where the client is counted */
	int source_max;
	struct sockaddr_any client; /* with PROXY_KNOWN */
};

/* What is due on a connection from peer. */
enum proxy_due proxy_find_due(const struct listener_config *listener,
    const struct sockaddr_any *peer);

/* Gives conn a copy of proxy, whose due is not NONE; -1: out of memory. */
int proxy_attach(struct conn *conn, const struct proxy *proxy);

/* Frees the copy that proxy_attach made, if there is one. */
void proxy_detach(struct conn *conn);

/* Whether conn may begin with a header that has not come. */
static inline bool
proxy_is_awaited(const struct conn *conn)
{
	return conn->want == CONN_WANT_HEADER || conn->want == CONN_WANT_REST;
}

/*
 * For a connection whose header is awaited: reads it, and counts the client for
 * its source.  Returns what the connection waits for next; as conn_ready.
 */
enum conn_want proxy_ready(struct conn *conn, struct conn_io *io);

/* The same when its time is over: never returns what it waits for now. */
enum conn_want proxy_expire(struct conn *conn, struct conn_io *io);

/*
 * The client's address, as the header says, or else that of the connection.
 * False: unknown.
 */
bool proxy_find_client(const struct conn *conn, struct sockaddr_any *client);

/*
 * Writes that address as text; of a Unix client that no header names, its
 * process and user.
 */
void proxy_client_text(const struct conn *conn, char *text, size_t size);

#endif
