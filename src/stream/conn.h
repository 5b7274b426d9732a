#ifndef STREAM_CONN_H
#define STREAM_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "base/counters.h"
#include "base/protocol.h"
#include "stamp/framing.h"
#include "stamp/stamp.h"

#define CONN_KEPT_MAX 65536 /* bytes kept for a client that doesn't read */

/* What a connection wants next. */
enum conn_want {
	CONN_WANT_READ,
	CONN_WANT_WRITE,
	CONN_WANT_LINGER, /* all is said; the client is to close */
	CONN_WANT_CLOSE,
};

/*
 * One stream connection.  The acceptor makes it; from the hand-over on its
 * worker owns it.  Idle ones are many: what only a busy one needs is elsewhere.
 */
struct conn {
	TAILQ_ENTRY(conn) link; /* until the worker took it: next alone */
	int fd;
	uint8_t protocol, framing, want;
	bool line_start;
	_Atomic bool lost; /* set by the acceptor: no event will ever come */
	bool arrival;      /* the kernel tells when its data arrived */
	uint64_t opened_ms, active_ms; /* CLOCK_MONOTONIC */
	uint64_t bytes_in, bytes_out, messages;
	struct conn_kept *kept; /* what the client does not take yet */
	char *name; /* for the debug log: ours, NUL, the peer's; or NULL */
};
TAILQ_HEAD(conn_list, conn);

/* What a worker lends to the connection at hand. */
struct conn_io {
	struct stamp stamp;
	bool arrival; /* stamps tell when data arrived, where that is known */
	struct counters *counters;
	char in[CONN_KEPT_MAX];
	char out[CONN_KEPT_MAX];
};

/*
 * Takes fd, connected and non-blocking, over.  NULL with errno, the fd still
 * the caller's, when memory runs out.
 */
struct conn *conn_new(int fd, enum protocol protocol, enum framing framing,
    uint64_t now_ms);

/*
 * What another process needs in order to go on with a connection: all but its
 * fd.  bytes, the output and then the input that had no stamps yet, belongs to
 * whoever made the state.
 */
struct conn_state {
	enum protocol protocol;
	enum framing framing;
	bool line_start;
	struct timespec arrived; /* the input */
	uint64_t messages;       /* in the output */
	size_t out_len, in_len;
	const char *bytes;
};

/* Points into conn. */
void conn_save(const struct conn *conn, struct conn_state *state);

/* As conn_new; EINVAL when state is none that a connection can be in. */
struct conn *conn_restore(int fd, const struct conn_state *state,
    uint64_t now_ms);

/* Frees conn; the connection lives on where its fd is kept. */
void conn_free(struct conn *conn);

/* Writes peer and local address to the debug log, and the end by and by. */
void conn_announce(struct conn *conn);

/*
 * Goes on with a connection that is ready for what it wanted.  One receive at
 * most, so that a busy client starves no other.  Returns what is wanted next;
 * with CONN_WANT_CLOSE *cause says why.
 */
enum conn_want conn_ready(struct conn *conn, struct conn_io *io,
    enum counter *cause);

/*
 * Whether the client of a connection that wants to write has taken anything of
 * what was sent to it before, since then or since the last time this was asked.
 * The kernel has room for more only once it has taken much.
 */
bool conn_progressed(struct conn *conn);

/*
 * The server stops: answers what has arrived, tells the client that no more
 * will come, and lingers.  As conn_ready.
 */
enum conn_want conn_finish(struct conn *conn, struct conn_io *io,
    enum counter *cause);

/* Closes, counts the cause and frees. */
void conn_close(struct conn *conn, struct counters *counters,
    enum counter cause, uint64_t now_ms);

/*
 * Sends all of data, as sendall of Python's sockets does: 0 when everything has
 * gone.  On a socket that does not block it gives up when the client is slow:
 * -1 with EAGAIN, and *sent says where to go on.  -1 with another errno: the
 * connection is lost.  Never raises SIGPIPE.
 */
int sendall(int fd, const char *data, size_t len, size_t *sent);

#endif
