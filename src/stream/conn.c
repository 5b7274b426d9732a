#include "stream/conn.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"
#include "net/sockopt.h"

/*
 * What is received at once.  With line framing the output grows by a stamp a
 * line, and whatever the client does not take, in and out together, must fit
 * in CONN_KEPT_MAX.
 */
#define CHUNK_MAX (CONN_KEPT_MAX - STAMP_TEXT_MAX)
#define LINES_MAX 40960

/* What could not be sent: output, and input that has had no stamps yet. */
struct conn_kept {
	struct timespec arrived;
	uint64_t messages; /* in the output */
	size_t out_at, out_len, in_len;
	int queued;   /* when last looked at: sent, but not taken */
	char bytes[]; /* the output, then the input */
};

struct conn *
conn_new(int fd, enum protocol protocol, enum framing framing, uint64_t now_ms)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->fd = fd;
	conn->protocol = (uint8_t)protocol;
	conn->framing = (uint8_t)framing;
	conn->want = CONN_WANT_READ;
	conn->line_start = true;
	conn->opened_ms = conn->active_ms = now_ms;
	return conn;
}

/* A Unix client has no address, but an identity. */
static void
peer_text(const struct conn *conn, char *text, size_t size)
{
	struct sockaddr_any peer = { .len = sizeof(peer.storage) };
	struct ucred identity;
	socklen_t len = sizeof(identity);

	if (protocol_is_unix((enum protocol)conn->protocol)) {
		if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &identity,
			&len) == 0)
			snprintf(text, size, "pid %d uid %u", identity.pid,
			    identity.uid);
		else
			snprintf(text, size, "unknown");
		return;
	}
	if (getpeername(conn->fd, &peer.any, &peer.len) == -1)
		snprintf(text, size, "unknown");
	else
		sockaddr_text(&peer, false, text, size);
}

static struct log_about
about_conn(const struct conn *conn)
{
	return (struct log_about){
		.listener = conn->name,
		.peer = conn->name + strlen(conn->name) + 1,
	};
}

void
conn_announce(struct conn *conn)
{
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	char peer_name[SOCKADDR_TEXT_MAX], local_name[SOCKADDR_TEXT_MAX] = "?";

	peer_text(conn, peer_name, sizeof(peer_name));
	if (getsockname(conn->fd, &local.any, &local.len) == 0)
		sockaddr_text(&local, false, local_name, sizeof(local_name));
	if (asprintf(&conn->name, "%s %s%c%s",
		protocol_name((enum protocol)conn->protocol), local_name, '\0',
		peer_name) == -1) {
		conn->name = NULL;
		return;
	}
	struct log_about about = about_conn(conn);
	log_about(LOG_DEBUG, &about, "%s from %s: open", about.listener,
	    about.peer);
}

static void
log_end(const struct conn *conn, enum counter cause, uint64_t now_ms)
{
	static const char *const causes[COUNTER_EVENTS] = {
		[COUNTER_CLOSED_CLIENT] = "the client closed",
		[COUNTER_CLOSED_IDLE] = "idle",
		[COUNTER_CLOSED_SEND_TIMEOUT] = "the client does not read",
		[COUNTER_CLOSED_ERROR] = "error",
		[COUNTER_CLOSED_STOP] = "the server stops",
	};
	uint64_t ms = now_ms - conn->opened_ms;
	struct log_about about = about_conn(conn);

	log_about(LOG_DEBUG, &about,
	    "%s from %s: closed, %s: %llu messages, %llu bytes in, %llu bytes "
	    "out, %llu.%03llu s",
	    about.listener, about.peer, causes[cause],
	    (unsigned long long)conn->messages,
	    (unsigned long long)conn->bytes_in,
	    (unsigned long long)conn->bytes_out,
	    (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

void
conn_close(struct conn *conn, struct counters *counters, enum counter cause,
    uint64_t now_ms)
{
	counters_add(counters, cause, 1);
	if (conn->name != NULL)
		log_end(conn, cause, now_ms);
	conn_free(conn);
}

int
sendall(int fd, const char *data, size_t len, size_t *sent)
{
	*sent = 0;
	while (*sent < len) {
		ssize_t n = send(fd, data + *sent, len - *sent, MSG_NOSIGNAL);
		if (n >= 0)
			*sent += (size_t)n;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

static enum conn_want
end(enum counter *cause, enum counter why)
{
	*cause = why;
	return CONN_WANT_CLOSE;
}

struct piece {
	const char *data;
	size_t len;
};

/* Of a failure no progress comes: more than there ever is. */
static int
count_queued(const struct conn *conn)
{
	int queued;

	return ioctl(conn->fd, SIOCOUTQ, &queued) == 0 ? queued : INT_MAX;
}

bool
conn_progressed(struct conn *conn)
{
	int before = conn->kept->queued;

	conn->kept->queued = count_queued(conn);
	return conn->kept->queued < before;
}

static enum conn_want
keep(struct conn *conn, const struct timespec *arrived, struct piece out,
    size_t messages, struct piece in, enum counter *cause)
{
	struct conn_kept *kept = malloc(sizeof(*kept) + out.len + in.len);

	if (kept == NULL)
		return end(cause, COUNTER_CLOSED_ERROR);
	kept->arrived = *arrived;
	kept->messages = messages;
	kept->out_at = 0;
	kept->out_len = out.len;
	kept->in_len = in.len;
	kept->queued = count_queued(conn);
	memcpy(kept->bytes, out.data, out.len);
	memcpy(kept->bytes + out.len, in.data, in.len);
	conn->kept = kept;
	return CONN_WANT_WRITE;
}

void
conn_free(struct conn *conn)
{
	close(conn->fd);
	free(conn->kept);
	free(conn->name);
	free(conn);
}

void
conn_save(const struct conn *conn, struct conn_state *state)
{
	const struct conn_kept *kept = conn->kept;

	*state = (struct conn_state){
		.protocol = (enum protocol)conn->protocol,
		.framing = (enum framing)conn->framing,
		.line_start = conn->line_start,
	};
	if (kept == NULL)
		return;
	state->arrived = kept->arrived;
	state->messages = kept->messages;
	state->out_len = kept->out_len - kept->out_at;
	state->in_len = kept->in_len;
	state->bytes = kept->bytes + kept->out_at;
}

struct conn *
conn_restore(int fd, const struct conn_state *state, uint64_t now_ms)
{
	struct piece out = { state->bytes, state->out_len };
	struct piece in = { state->bytes + state->out_len, state->in_len };
	enum counter cause;

	if (out.len > CONN_KEPT_MAX || in.len > LINES_MAX ||
	    out.len + in.len > CONN_KEPT_MAX ||
	    (in.len > 0 && state->framing != FRAMING_LINE)) {
		errno = EINVAL;
		return NULL;
	}
	struct conn *conn = conn_new(fd, state->protocol, state->framing,
	    now_ms);
	if (conn == NULL)
		return NULL;
	conn->line_start = state->line_start;
	if (out.len + in.len == 0)
		return conn;
	conn->want = (uint8_t)keep(conn, &state->arrived, out, state->messages,
	    in, &cause);
	if (conn->kept != NULL)
		return conn;
	free(conn);
	errno = ENOMEM;
	return NULL;
}

static void
count(const struct conn *conn, struct conn_io *io, enum traffic field, size_t n)
{
	counters_add_traffic(io->counters, (enum protocol)conn->protocol, field,
	    n);
}

static void
count_sent(struct conn *conn, struct conn_io *io, size_t bytes, size_t messages)
{
	conn->bytes_out += bytes;
	count(conn, io, TRAFFIC_BYTES_OUT, bytes);
	count(conn, io, TRAFFIC_MESSAGES_OUT, messages);
}

static void
count_stamps(struct conn *conn, struct conn_io *io, size_t stamps)
{
	conn->messages += stamps;
	count(conn, io, TRAFFIC_MESSAGES_IN, stamps);
}

/* Sends out, and keeps what does not go together with in. */
static enum conn_want
send_or_keep(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, struct piece out, size_t messages,
    struct piece in, enum counter *cause)
{
	size_t sent;
	int rc = sendall(conn->fd, out.data, out.len, &sent);

	count_sent(conn, io, sent, rc == 0 ? messages : 0);
	if (rc == 0)
		return CONN_WANT_READ;
	if (errno != EAGAIN)
		return end(cause, COUNTER_CLOSED_ERROR);
	out.data += sent;
	out.len -= sent;
	return keep(conn, arrived, out, messages, in, cause);
}

/* data has STAMP_TEXT_MAX free bytes in front of it. */
static enum conn_want
answer_chunk(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, char *data, size_t len, enum counter *cause)
{
	size_t stamp_len;
	const char *stamp = stamp_at(&io->stamp, arrived, &stamp_len);
	struct piece out = {
		framing_chunk(data, stamp, stamp_len),
		stamp_len + len,
	};

	count_stamps(conn, io, 1);
	return send_or_keep(conn, io, arrived, out, 1,
	    (struct piece){ data, 0 }, cause);
}

static enum conn_want
answer_lines(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, const char *data, size_t len,
    enum counter *cause)
{
	size_t stamp_len;
	const char *stamp = stamp_at(&io->stamp, arrived, &stamp_len);
	enum conn_want want = CONN_WANT_READ;

	while (len > 0 && want == CONN_WANT_READ) {
		struct framing_run run = framing_lines(&conn->line_start,
		    (struct framing_text){ data, len },
		    (struct framing_text){ stamp, stamp_len },
		    (CONN_KEPT_MAX - len) / stamp_len, io->out);
		data += run.consumed;
		len -= run.consumed;
		count_stamps(conn, io, run.stamps);
		want = send_or_keep(conn, io, arrived,
		    (struct piece){ io->out, run.len }, run.stamps,
		    (struct piece){ data, len }, cause);
	}
	return want;
}

/* What is known of data that was received besides its bytes. */
struct receipt {
	bool is_end, has_arrival;
	struct timespec arrived; /* where it is */
};

/*
 * A record of a sequenced packet socket may be empty: unlike the end of the
 * connection it brings its sender's credentials along, which leave no room for
 * descriptors that a Unix client may send.  -1 with EMSGSIZE for a record that
 * does not fit.
 */
static ssize_t
receive_message(const struct conn *conn, char *data, size_t size,
    struct receipt *receipt)
{
	bool is_record = conn->protocol == PROTOCOL_UNIX_SEQPACKET;
	size_t credentials = CMSG_SPACE(sizeof(struct ucred));
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_ARRIVAL_SPACE];
	struct iovec piece = { data, size };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = (is_record ? credentials : 0) +
		                  (conn->arrival ? CMSG_ARRIVAL_SPACE : 0),
	};
	ssize_t n = recvmsg(conn->fd, &message, MSG_CMSG_CLOEXEC);

	if (n == -1)
		return -1;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL;
	     at = CMSG_NXTHDR(&message, at)) {
		receipt->has_arrival |= cmsg_read_arrival(at,
		    &receipt->arrived);
		cmsg_close_fds(at);
	}
	if (is_record && (message.msg_flags & MSG_TRUNC) != 0) {
		errno = EMSGSIZE;
		return -1;
	}
	receipt->is_end = n == 0 && (!is_record || message.msg_controllen == 0);
	return n;
}

/* Of data that arrived before that there is no telling. */
static void
request_arrival(struct conn *conn)
{
	if (!conn->arrival && conn->protocol != PROTOCOL_UNIX)
		conn->arrival = sockopt_set_arrival(conn->fd, true) == 0;
}

static ssize_t
receive(struct conn *conn, const struct conn_io *io, char *data, size_t size,
    struct receipt *receipt)
{
	ssize_t n;

	*receipt = (struct receipt){ 0 };
	if (io->arrival)
		request_arrival(conn);
	do {
		if (conn->protocol == PROTOCOL_UNIX_SEQPACKET ||
		    (io->arrival && conn->arrival)) {
			n = receive_message(conn, data, size, receipt);
		} else {
			n = recv(conn->fd, data, size, 0);
			receipt->is_end = n == 0;
		}
	} while (n == -1 && errno == EINTR);
	return n;
}

static enum conn_want
conn_receive(struct conn *conn, struct conn_io *io, enum counter *cause)
{
	char *data = io->in + STAMP_TEXT_MAX;
	size_t room = conn->framing == FRAMING_LINE ? LINES_MAX : CHUNK_MAX;
	struct receipt receipt;
	ssize_t n = receive(conn, io, data, room, &receipt);

	if (n == -1)
		return errno == EAGAIN ? CONN_WANT_READ
		                       : end(cause, COUNTER_CLOSED_ERROR);
	if (receipt.is_end)
		return end(cause, COUNTER_CLOSED_CLIENT);
	if (!receipt.has_arrival || !io->arrival)
		clock_gettime(CLOCK_REALTIME, &receipt.arrived);
	conn->bytes_in += (size_t)n;
	count(conn, io, TRAFFIC_BYTES_IN, (size_t)n);
	if (conn->framing == FRAMING_LINE)
		return answer_lines(conn, io, &receipt.arrived, data, (size_t)n,
		    cause);
	return answer_chunk(conn, io, &receipt.arrived, data, (size_t)n, cause);
}

/* Goes on with what was kept. */
static enum conn_want
conn_flush(struct conn *conn, struct conn_io *io, enum counter *cause)
{
	struct conn_kept *kept = conn->kept;
	const char *out = kept->bytes + kept->out_at;
	size_t len = kept->out_len - kept->out_at, sent;
	enum conn_want want = CONN_WANT_READ;
	int rc = sendall(conn->fd, out, len, &sent);

	count_sent(conn, io, sent, rc == 0 ? kept->messages : 0);
	kept->out_at += sent;
	if (rc == -1 && errno != EAGAIN)
		return end(cause, COUNTER_CLOSED_ERROR);
	if (rc == -1) {
		if (sent > 0)
			kept->queued = count_queued(conn);
		return CONN_WANT_WRITE;
	}
	conn->kept = NULL;
	if (kept->in_len > 0) {
		char *data = io->in + STAMP_TEXT_MAX;
		memcpy(data, kept->bytes + kept->out_len, kept->in_len);
		want = answer_lines(conn, io, &kept->arrived, data,
		    kept->in_len, cause);
	}
	free(kept);
	return want;
}

/* The client has our end already: what it still sends comes too late. */
static enum conn_want
conn_discard(struct conn *conn, struct conn_io *io, enum counter *cause)
{
	struct receipt receipt;
	ssize_t n = receive(conn, io, io->in, sizeof(io->in), &receipt);

	if (n == -1 && errno == EAGAIN)
		return CONN_WANT_LINGER;
	if (n == -1 || receipt.is_end)
		return end(cause, COUNTER_CLOSED_STOP);
	return CONN_WANT_LINGER;
}

enum conn_want
conn_ready(struct conn *conn, struct conn_io *io, enum counter *cause)
{
	switch (conn->want) {
	case CONN_WANT_READ:
		return conn_receive(conn, io, cause);
	case CONN_WANT_WRITE:
		return conn_flush(conn, io, cause);
	default:
		return conn_discard(conn, io, cause);
	}
}

enum conn_want
conn_finish(struct conn *conn, struct conn_io *io, enum counter *cause)
{
	/* An empty record is a message too. */
	uint64_t before = conn->messages + conn->bytes_in;
	enum conn_want want = conn_receive(conn, io, cause);

	if (want != CONN_WANT_READ || conn->messages + conn->bytes_in != before)
		return want;
	shutdown(conn->fd, SHUT_WR);
	return CONN_WANT_LINGER;
}
