/*
 * The way of a message: conn_ready calls conn_receive, which reads it;
 * stamp_chunk or stamp_lines puts the stamps in; send_or_keep sends the reply
 * and keeps what the client does not take; conn_flush sends that later.
 */
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
 * The most that one receive takes.  With line framing the output is longer by a
 * stamp a line, and the output and the input that is left over together must
 * not exceed CONN_KEPT_MAX.
 */
#define CHUNK_MAX (CONN_KEPT_MAX - STAMP_TEXT_MAX)
#define LINES_MAX 40960

/* Stamped output, and behind it input that has no stamps yet. */
struct reply {
	struct timespec arrived; /* the input */
	uint64_t messages;       /* in out */
	const char *out;
	size_t out_len;
	const char *in;
	size_t in_len;
};

/* A reply that the client has not taken yet. */
struct conn_kept {
	struct reply reply;
	int queued;   /* sent, but not taken when last looked at */
	char bytes[]; /* of out, then of in */
};

static const struct {
	enum counter counter;
	const char *text;
} reasons[] = {
	[CLOSE_CLIENT] = { COUNTER_CLOSED_CLIENT, "the client closed" },
	[CLOSE_IDLE] = { COUNTER_CLOSED_IDLE, "idle" },
	[CLOSE_SEND_TIMEOUT] = { COUNTER_CLOSED_SEND_TIMEOUT,
	    "the client does not read" },
	[CLOSE_ERROR] = { COUNTER_CLOSED_ERROR, "error" },
	[CLOSE_STOP] = { COUNTER_CLOSED_STOP, "the server stops" },
};

struct conn *
conn_new(int fd, enum protocol protocol, enum framing framing, uint64_t now_ms)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL)
		return NULL;
	conn->fd = fd;
	conn->protocol = protocol;
	conn->framing = framing;
	conn->want = CONN_WANT_READ;
	conn->line_start = true;
	conn->opened_ms = conn->active_ms = now_ms;
	return conn;
}

void
conn_free(struct conn *conn)
{
	close(conn->fd);
	free(conn->kept);
	free(conn->name);
	free(conn);
}

/* A Unix client has an identity instead of an address. */
static void
peer_text(const struct conn *conn, char *text, size_t size)
{
	struct sockaddr_any peer = { .len = sizeof(peer.storage) };
	struct ucred identity;
	socklen_t len = sizeof(identity);

	if (protocol_is_unix(conn->protocol) &&
	    getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &identity, &len) == 0)
		snprintf(text, size, "pid %d uid %u", identity.pid,
		    identity.uid);
	else if (getpeername(conn->fd, &peer.any, &peer.len) == 0)
		sockaddr_text(&peer, false, text, size);
	else
		snprintf(text, size, "unknown");
}

static struct log_about
about_conn(const struct conn *conn)
{
	const char *peer = conn->name + strlen(conn->name) + 1;

	return (struct log_about){ .listener = conn->name, .peer = peer };
}

void
conn_announce(struct conn *conn)
{
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	char peer_name[SOCKADDR_TEXT_MAX], local_name[SOCKADDR_TEXT_MAX] = "?";

	peer_text(conn, peer_name, sizeof(peer_name));
	if (getsockname(conn->fd, &local.any, &local.len) == 0)
		sockaddr_text(&local, false, local_name, sizeof(local_name));
	if (asprintf(&conn->name, "%s %s%c%s", protocol_name(conn->protocol),
		local_name, '\0', peer_name) == -1) {
		conn->name = NULL;
		return;
	}
	struct log_about about = about_conn(conn);
	log_about(LOG_DEBUG, &about, "%s from %s: open", about.listener,
	    about.peer);
}

static void
log_close(const struct conn *conn, enum close_reason reason, uint64_t now_ms)
{
	uint64_t ms = now_ms - conn->opened_ms;
	struct log_about about = about_conn(conn);

	log_about(LOG_DEBUG, &about,
	    "%s from %s: closed, %s: %llu messages, %llu bytes in, %llu bytes "
	    "out, %llu.%03llu s",
	    about.listener, about.peer, reasons[reason].text,
	    (unsigned long long)conn->messages,
	    (unsigned long long)conn->bytes_in,
	    (unsigned long long)conn->bytes_out,
	    (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

void
conn_close(struct conn *conn, struct counters *counters,
    enum close_reason reason, uint64_t now_ms)
{
	counters_add(counters, reasons[reason].counter, 1);
	if (conn->name != NULL)
		log_close(conn, reason, now_ms);
	conn_free(conn);
}

static enum conn_want
end(struct conn *conn, enum close_reason reason)
{
	conn->close_reason = reason;
	return CONN_WANT_CLOSE;
}

/* Bytes sent but not taken; where unknown, a number that can't decrease. */
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

/* Copies the reply: its bytes belong to conn_io. */
static enum conn_want
keep(struct conn *conn, const struct reply *reply)
{
	size_t out_len = reply->out_len, in_len = reply->in_len;
	struct conn_kept *kept = malloc(sizeof(*kept) + out_len + in_len);

	if (kept == NULL)
		return end(conn, CLOSE_ERROR);
	kept->reply = *reply;
	kept->queued = count_queued(conn);
	kept->reply.out = memcpy(kept->bytes, reply->out, out_len);
	kept->reply.in = memcpy(kept->bytes + out_len, reply->in, in_len);
	conn->kept = kept;
	return CONN_WANT_WRITE;
}

void
conn_save(const struct conn *conn, struct conn_state *state)
{
	const struct reply none = { 0 };
	const struct reply *reply = conn->kept ? &conn->kept->reply : &none;

	*state = (struct conn_state){
		.protocol = conn->protocol,
		.framing = conn->framing,
		.line_start = conn->line_start,
		.arrived = reply->arrived,
		.messages = reply->messages,
		.out_len = reply->out_len,
		.in_len = reply->in_len,
		.bytes = reply->out,
	};
}

static bool
is_possible(const struct conn_state *state)
{
	if (state->in_len > 0 && state->framing != FRAMING_LINE)
		return false;
	return state->in_len <= LINES_MAX && state->out_len <= CONN_KEPT_MAX &&
	       state->in_len + state->out_len <= CONN_KEPT_MAX;
}

struct conn *
conn_restore(int fd, const struct conn_state *state, uint64_t now_ms)
{
	struct reply reply = { state->arrived, state->messages, state->bytes,
		state->out_len, state->bytes + state->out_len, state->in_len };

	if (!is_possible(state)) {
		errno = EINVAL;
		return NULL;
	}
	struct conn *conn = conn_new(fd, state->protocol, state->framing,
	    now_ms);
	if (conn == NULL)
		return NULL;
	conn->line_start = state->line_start;
	if (reply.out_len + reply.in_len == 0)
		return conn;
	conn->want = keep(conn, &reply);
	if (conn->want == CONN_WANT_WRITE)
		return conn;
	free(conn);
	errno = ENOMEM;
	return NULL;
}

static void
count(const struct conn *conn, struct conn_io *io, enum traffic field, size_t n)
{
	counters_add_traffic(io->counters, conn->protocol, field, n);
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

/* As sendall; what has been sent is no longer in the reply. */
static int
send_reply(struct conn *conn, struct conn_io *io, struct reply *reply)
{
	size_t sent;
	int rc = sendall(conn->fd, reply->out, reply->out_len, &sent);

	reply->out += sent;
	reply->out_len -= sent;
	conn->bytes_out += sent;
	count(conn, io, TRAFFIC_BYTES_OUT, sent);
	if (rc == 0)
		count(conn, io, TRAFFIC_MESSAGES_OUT, reply->messages);
	return rc;
}

static enum conn_want
send_or_keep(struct conn *conn, struct conn_io *io, struct reply *reply)
{
	count(conn, io, TRAFFIC_MESSAGES_IN, reply->messages);
	conn->messages += reply->messages;
	if (send_reply(conn, io, reply) == 0)
		return CONN_WANT_READ;
	return errno == EAGAIN ? keep(conn, reply) : end(conn, CLOSE_ERROR);
}

/* A stamp in front of the data, where STAMP_TEXT_MAX bytes are free. */
static enum conn_want
stamp_chunk(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, char *data, size_t len)
{
	size_t stamp_len;
	const char *stamp = stamp_at(&io->stamp, arrived, &stamp_len);
	char *out = framing_chunk(data, stamp, stamp_len);
	struct reply reply = { *arrived, 1, out, stamp_len + len, data, 0 };

	return send_or_keep(conn, io, &reply);
}

/* A stamp at the start of each line, as many lines at once as io->out holds. */
static enum conn_want
stamp_lines(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, const char *data, size_t len)
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
		struct reply reply = { *arrived, run.stamps, io->out, run.len,
			data, len };
		want = send_or_keep(conn, io, &reply);
	}
	return want;
}

/* What a receive tells besides the bytes. */
struct receipt {
	bool is_end, has_arrival;
	struct timespec arrived;
};

/*
 * A record of a seqpacket socket may be empty: unlike the end of the connection
 * it carries its sender's credentials.  They fill the space for control
 * messages, so a client can't pass descriptors.  -1 with EMSGSIZE for a record
 * that is longer than size.
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

/* receipt->arrived is the time of now where the kernel does not tell it. */
static ssize_t
receive(struct conn *conn, const struct conn_io *io, char *data, size_t size,
    struct receipt *receipt)
{
	ssize_t n;

	*receipt = (struct receipt){ 0 };
	if (io->arrival && !conn->arrival && conn->protocol != PROTOCOL_UNIX)
		conn->arrival = sockopt_set_arrival(conn->fd, true) == 0;
	do {
		if (conn->protocol == PROTOCOL_UNIX_SEQPACKET ||
		    (io->arrival && conn->arrival)) {
			n = receive_message(conn, data, size, receipt);
		} else {
			n = recv(conn->fd, data, size, 0);
			receipt->is_end = n == 0;
		}
	} while (n == -1 && errno == EINTR);
	if (n != -1 && (!receipt->has_arrival || !io->arrival))
		clock_gettime(CLOCK_REALTIME, &receipt->arrived);
	return n;
}

static enum conn_want
conn_receive(struct conn *conn, struct conn_io *io)
{
	bool is_lines = conn->framing == FRAMING_LINE;
	char *data = io->in + STAMP_TEXT_MAX;
	struct receipt receipt;
	ssize_t n = receive(conn, io, data, is_lines ? LINES_MAX : CHUNK_MAX,
	    &receipt);

	if (n == -1)
		return errno == EAGAIN ? CONN_WANT_READ
		                       : end(conn, CLOSE_ERROR);
	if (receipt.is_end)
		return end(conn, CLOSE_CLIENT);
	conn->bytes_in += (size_t)n;
	count(conn, io, TRAFFIC_BYTES_IN, (size_t)n);
	if (is_lines)
		return stamp_lines(conn, io, &receipt.arrived, data, (size_t)n);
	return stamp_chunk(conn, io, &receipt.arrived, data, (size_t)n);
}

/* Sends what was kept, then stamps the input that was kept with it. */
static enum conn_want
conn_flush(struct conn *conn, struct conn_io *io)
{
	struct conn_kept *kept = conn->kept;
	struct reply *reply = &kept->reply;
	enum conn_want want = CONN_WANT_READ;
	size_t before = reply->out_len;

	if (send_reply(conn, io, reply) == -1) {
		if (errno != EAGAIN)
			return end(conn, CLOSE_ERROR);
		if (reply->out_len < before)
			kept->queued = count_queued(conn);
		return CONN_WANT_WRITE;
	}
	conn->kept = NULL;
	if (reply->in_len > 0)
		want = stamp_lines(conn, io, &reply->arrived, reply->in,
		    reply->in_len);
	free(kept);
	return want;
}

/* Our side is shut down: what the client still sends is not answered. */
static enum conn_want
conn_discard(struct conn *conn, struct conn_io *io)
{
	struct receipt receipt;
	ssize_t n = receive(conn, io, io->in, sizeof(io->in), &receipt);

	if (n == -1 && errno == EAGAIN)
		return CONN_WANT_LINGER;
	if (n == -1 || receipt.is_end)
		return end(conn, CLOSE_STOP);
	return CONN_WANT_LINGER;
}

enum conn_want
conn_ready(struct conn *conn, struct conn_io *io)
{
	switch (conn->want) {
	case CONN_WANT_READ:
		return conn_receive(conn, io);
	case CONN_WANT_WRITE:
		return conn_flush(conn, io);
	default:
		return conn_discard(conn, io);
	}
}

enum conn_want
conn_finish(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
	return CONN_WANT_LINGER;
}
