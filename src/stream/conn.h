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
#include "stream/bulk.h"

#define CONN_KEPT_MAX 65536 /* bytes kept for a client that doesn't read */

/* What a connection waits for next. */
enum conn_want {
	CONN_WANT_READ,
	CONN_WANT_HEADER, /* the first byte; see stream/proxy.h */
	CONN_WANT_REST,   /* of a header */
	CONN_WANT_WRITE,
	CONN_WANT_TAKEN,  /* the client has ended; it must take its replies */
	CONN_WANT_LINGER, /* our side is shut down; wait for the client's end */
	CONN_WANT_CLOSE,  /* nothing: it is to be closed */
};

enum close_reason {
	CLOSE_CLIENT,
	CLOSE_IDLE,
	CLOSE_SEND_TIMEOUT,
	CLOSE_MEMORY,
	CLOSE_ADDRESS,
	CLOSE_DENIED,
	CLOSE_PROXY,
	CLOSE_PROXY_FROM,
	CLOSE_ERROR,
	CLOSE_STOP,
};

/*
 * A stream connection.  From the dispatch on its worker owns it.  There may be
 * very many idle ones, so buffers are elsewhere.
 */
struct conn {
	TAILQ_ENTRY(conn) link; /* in the worker's stack only tqe_next */
	int fd;
	enum protocol protocol : 8;
	enum conn_want want : 8;
	enum close_reason close_reason : 4; /* with CONN_WANT_TAKEN, _CLOSE */
	enum framing framing : 4;
	uint8_t events;    /* what epoll watches for; 0: not in epoll */
	uint16_t profile;  /* number of its listener in config/profile.h */
	bool line_start;   /* the next byte begins a line */
	bool arrival : 1;  /* the kernel tells when its data arrived */
	bool busy : 1;     /* has filled a whole receive */
	bool restored : 1; /* another process may have sent more bytes */
	bool untaken : 1;  /* waits to read, and holds memory nevertheless */
	bool holds : 1;    /* the next ones are known; the roster owns them */
	bool takes : 1;    /* its client took some before the last visit */
	bool patient : 1;  /* may be idle for longer than others */
	uint32_t round;    /* of the last visit; 0: there was none */
	int64_t taken;     /* bytes that the client had taken */
	uint32_t held;     /* bytes that it has in the budget of the workers */
	uint32_t since_ms; /* in how long it takes them; see roster.h */
	uint64_t opened_ms, active_ms; /* CLOCK_MONOTONIC */
	uint64_t bytes_in, bytes_out, messages;
	_Atomic int *source_count; /* open ones from its address, or NULL */
	struct proxy *proxy;       /* the header that it begins with, or NULL */
	struct conn_kept *kept;    /* what the client has not taken yet */
	char *name;                /* client_log's, or NULL */
};
TAILQ_HEAD(conn_list, conn);

/* Buffers of a worker, lent to the connection that it serves. */
struct conn_io {
	struct stamp *stamp; /* of the connection */
	bool arrival; /* stamps tell when data arrived, where that is known */
	struct counters *counters;
	struct bulk_loan loan;
	char in[CONN_KEPT_MAX];
	char out[CONN_KEPT_MAX];
};

/*
 * A connection on fd, connected and non-blocking, which it owns from now on.
 * NULL with errno: out of memory, and fd remains the caller's.
 */
struct conn *conn_new(int fd, enum protocol protocol, enum framing framing,
    uint64_t now_ms);

/*
 * What another process needs besides the fd in order to serve a connection.
 * The part from arrived on is a reply that the client has not taken yet: its
 * bytes are output and, behind it, input that has no stamps yet.
 */
struct conn_state {
	enum protocol protocol;
	enum framing framing;
	bool line_start;
	struct timespec arrived; /* when the input arrived */
	uint64_t messages;       /* in the output */
	uint64_t idle_ms;        /* since a byte was received or sent */
	size_t out_len, in_len;
	const char *bytes;
	bool has_ended;            /* the client has, and has not taken all */
	const struct proxy *proxy; /* or NULL */
};

/* The bytes and the proxy of the state belong to conn. */
void conn_save(const struct conn *conn, struct conn_state *state,
    uint64_t now_ms);

/* As conn_new; EINVAL: no connection can be in this state. */
struct conn *conn_restore(int fd, const struct conn_state *state,
    uint64_t now_ms);

/* Closes the fd, counts it no longer for its address, and frees. */
void conn_free(struct conn *conn);

/* Counts the reason, logs it if nobody has, then as conn_free. */
void conn_close(struct conn *conn, struct counters *counters,
    enum close_reason reason, uint64_t now_ms);

const char *conn_reason_text(enum close_reason reason);

/*
 * Receives once, so that a busy client starves no other, and sends the stamped
 * reply; or sends what was kept.  Returns what the connection waits for next;
 * with CONN_WANT_CLOSE its close_reason is set.
 */
enum conn_want conn_ready(struct conn *conn, struct conn_io *io);

/* Shuts down our side when the server stops and everything is answered. */
enum conn_want conn_finish(struct conn *conn);

/*
 * How many bytes the client has taken since the last call.  The kernel may
 * report room only later.
 */
uint64_t conn_progress(struct conn *conn);

/* Whether replies may be in the kernel that the client has not taken. */
bool conn_is_untaken(const struct conn *conn);

/* Bytes of memory for this client, in this process and in the kernel. */
uint32_t conn_measure(const struct conn *conn);

/*
 * Has the close drop what the client has not taken.  Otherwise the kernel keeps
 * that for minutes after the close, for a client that may never take it.
 */
void conn_discard(const struct conn *conn);

/*
 * Sends all of data, as sendall of Python's sockets does; 0 or -1 with errno.
 * EAGAIN: the client is slow, and *sent says where to continue.  Another errno:
 * the connection is lost.  Never raises SIGPIPE.
 */
int sendall(int fd, const char *data, size_t len, size_t *sent);

#endif
