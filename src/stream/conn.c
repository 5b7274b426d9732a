/*
 * A message on its way: conn_receive reads it; stamp_chunk or stamp_lines puts
 * the stamps in; send_or_keep sends the reply and keeps what the client does
 * not take; conn_flush sends that later.
 */
#include "stream/conn.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/cmsg.h"
#include "net/sockopt.h"
#include "stream/client_log.h"
#include "stream/proxy.h"

/*
 * The most that one receive takes.  Stamped output and unstamped input share
 * CONN_KEPT_MAX: LINES_MAX leaves 24 KiB for stamps, at least 24 of them.
 */
#define CHUNK_MAX (CONN_KEPT_MAX - STAMP_TEXT_MAX)
#define LINES_MAX 40960

/* A reply that the client has not taken yet. */
struct conn_kept {
	struct conn_state reply;
	size_t size;  /* of this, in memory */
	char bytes[]; /* of the reply */
};

static const struct {
	enum counter counter;
	const char *text;
} reasons[] = {
	[CLOSE_CLIENT] = { COUNTER_CLOSED_CLIENT, "the client closed" },
	[CLOSE_IDLE] = { COUNTER_CLOSED_IDLE, "idle" },
	[CLOSE_SEND_TIMEOUT] = { COUNTER_CLOSED_SEND_TIMEOUT,
	    "the client does not read" },
	[CLOSE_MEMORY] = { COUNTER_CLOSED_MEMORY,
	    "kept_memory is used up, and the client does not read" },
	[CLOSE_ADDRESS] = { COUNTER_CLOSED_ADDRESS,
	    "max_connections_per_address are open" },
	[CLOSE_DENIED] = { COUNTER_CLOSED_DENIED, "denied by the lists" },
	[CLOSE_PROXY] = { COUNTER_CLOSED_PROXY, "no valid PROXY header" },
	[CLOSE_PROXY_FROM] = { COUNTER_CLOSED_PROXY_FROM,
	    "a PROXY header, and its source is not in proxy_from" },
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
	/* Before the client can see the end, and come again. */
	if (conn->source_count != NULL)
		--*conn->source_count;
	close(conn->fd);
	proxy_detach(conn);
	free(conn->kept);
	free(conn->name);
	free(conn);
}

const char *
conn_reason_text(enum close_reason reason)
{
	return reasons[reason].text;
}

void
conn_close(struct conn *conn, struct counters *counters,
    enum close_reason reason, uint64_t now_ms)
{
	counters_add(counters, reasons[reason].counter, 1);
	client_log_close(NULL, conn, reason, now_ms);
	conn_free(conn);
}

static enum conn_want
end(struct conn *conn, enum close_reason reason)
{
	conn->close_reason = reason;
	return CONN_WANT_CLOSE;
}

/* Bytes in the kernel that the client has not acknowledged; -1: unknown. */
static int
count_queued(const struct conn *conn)
{
	int queued;

	return ioctl(conn->fd, SIOCOUTQ, &queued) == 0 ? queued : -1;
}

/* If the kernel doesn't tell, it is what it was before: no progress. */
static int64_t
count_taken(const struct conn *conn)
{
	int queued = count_queued(conn);

	return queued == -1 ? conn->taken : (int64_t)conn->bytes_out - queued;
}

uint64_t
conn_progress(struct conn *conn)
{
	int64_t before = conn->taken;

	conn->taken = count_taken(conn);
	/* It goes back by one when our side is shut down, and for a Unix socket
	 * with each reply, whose buffer counts. */
	return (uint64_t)MAX(conn->taken - before, 0);
}

bool
conn_is_untaken(const struct conn *conn)
{
	return count_queued(conn) > 0;
}

uint32_t
conn_measure(const struct conn *conn)
{
	uint32_t info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(conn->fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	/* TCP counts what it has to send as queued, Unix as allocated. */
	return info[SK_MEMINFO_RMEM_ALLOC] + info[SK_MEMINFO_FWD_ALLOC] +
	       MAX(info[SK_MEMINFO_WMEM_QUEUED], info[SK_MEMINFO_WMEM_ALLOC]) +
	       (conn->kept == NULL ? 0 : (uint32_t)conn->kept->size);
}

void
conn_discard(const struct conn *conn)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	if (conn->protocol == PROTOCOL_TCP)
		setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &none,
		    sizeof(none));
}

/* Keeps a copy of reply, whose input is at in. */
static enum conn_want
keep(struct conn *conn, const struct conn_state *reply, const char *in)
{
	size_t size = sizeof(struct conn_kept) + reply->out_len + reply->in_len;
	struct conn_kept *kept = malloc(size);

	if (kept == NULL)
		return end(conn, CLOSE_ERROR);
	kept->size = size;
	kept->reply = *reply;
	kept->reply.bytes = kept->bytes;
	memcpy(mempcpy(kept->bytes, reply->bytes, reply->out_len), in,
	    reply->in_len);
	/* Else it is counted from the last look on. */
	if (!conn->holds)
		conn->taken = count_taken(conn);
	conn->kept = kept;
	return CONN_WANT_WRITE;
}

void
conn_save(const struct conn *conn, struct conn_state *state, uint64_t now_ms)
{
	*state = conn->kept ? conn->kept->reply : (struct conn_state){ 0 };
	state->protocol = conn->protocol;
	state->framing = conn->framing;
	state->line_start = conn->line_start;
	state->idle_ms = now_ms - conn->active_ms;
	state->has_ended = conn->want == CONN_WANT_TAKEN;
	state->proxy = conn->proxy;
}

struct conn *
conn_restore(int fd, const struct conn_state *state, uint64_t now_ms)
{
	size_t kept = state->out_len + state->in_len;

	if ((state->in_len > 0 && state->framing != FRAMING_LINE) ||
	    (state->has_ended && kept > 0) || state->in_len > LINES_MAX ||
	    state->out_len > CONN_KEPT_MAX || kept > CONN_KEPT_MAX ||
	    (state->proxy != NULL && state->proxy->due != PROXY_KNOWN &&
		(kept > 0 || state->has_ended))) {
		errno = EINVAL;
		return NULL;
	}
	struct conn *conn = conn_new(fd, state->protocol, state->framing,
	    now_ms);
	if (conn == NULL)
		return NULL;
	conn->line_start = state->line_start;
	conn->restored = true;
	conn->active_ms = now_ms - MIN(state->idle_ms, now_ms);
	if (state->proxy != NULL && proxy_attach(conn, state->proxy) == -1) {
		conn->want = CONN_WANT_CLOSE;
	} else if (state->has_ended) {
		conn->want = CONN_WANT_TAKEN;
		conn->close_reason = CLOSE_CLIENT;
		conn->taken = count_taken(conn);
	} else if (kept > 0)
		conn->want = keep(conn, state, state->bytes + state->out_len);
	if (conn->want != CONN_WANT_CLOSE)
		return conn;
	proxy_detach(conn);
	free(conn);
	return NULL;
}

static void
count(const struct conn *conn, struct conn_io *io, enum traffic field,
    uint64_t n)
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

/* As sendall; removes from the reply what has been sent. */
static int
send_reply(struct conn *conn, struct conn_io *io, struct conn_state *reply)
{
	size_t sent;
	int rc = sendall(conn->fd, reply->bytes, reply->out_len, &sent);

	reply->bytes += sent;
	reply->out_len -= sent;
	conn->bytes_out += sent;
	count(conn, io, TRAFFIC_BYTES_OUT, sent);
	if (rc == 0)
		count(conn, io, TRAFFIC_MESSAGES_OUT, reply->messages);
	return rc;
}

/* Sends the reply and keeps what can't be sent now. */
static enum conn_want
send_or_keep(struct conn *conn, struct conn_io *io, struct conn_state *reply,
    const char *in)
{
	count(conn, io, TRAFFIC_MESSAGES_IN, reply->messages);
	conn->messages += reply->messages;
	if (send_reply(conn, io, reply) == 0) {
		/* A kept reply waited for its client: not our delay. */
		if (io->arrival && conn->arrival &&
		    conn->want == CONN_WANT_READ)
			counters_add_delay(io->counters, conn->protocol,
			    clock_ns_since(&reply->arrived), reply->messages);
		return CONN_WANT_READ;
	}
	return errno == EAGAIN ? keep(conn, reply, in) : end(conn, CLOSE_ERROR);
}

/* A stamp in front of the data, where STAMP_TEXT_MAX bytes are free. */
static enum conn_want
stamp_chunk(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, char *data, size_t len)
{
	size_t stamp_len;
	const char *stamp = stamp_at(io->stamp, arrived, &stamp_len);
	struct conn_state reply = {
		.arrived = *arrived,
		.messages = 1,
		.out_len = stamp_len + len,
		.bytes = framing_chunk(data, stamp, stamp_len),
	};

	return send_or_keep(conn, io, &reply, data);
}

/* A stamp at the start of each line, as many lines at once as io->out holds. */
static enum conn_want
stamp_lines(struct conn *conn, struct conn_io *io,
    const struct timespec *arrived, const char *data, size_t len)
{
	size_t stamp_len;
	const char *stamp = stamp_at(io->stamp, arrived, &stamp_len);
	enum conn_want want = CONN_WANT_READ;

	while (len > 0 && want == CONN_WANT_READ) {
		struct framing_run run = framing_lines(&conn->line_start,
		    (struct framing_text){ data, len },
		    (struct framing_text){ stamp, stamp_len },
		    (CONN_KEPT_MAX - len) / stamp_len, io->out);
		data += run.consumed;
		len -= run.consumed;
		struct conn_state reply = {
			.arrived = *arrived,
			.messages = run.stamps,
			.out_len = run.len,
			.in_len = len,
			.bytes = io->out,
		};
		want = send_or_keep(conn, io, &reply, data);
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
 * messages, so a client can't pass descriptors.  EMSGSIZE: the record is longer
 * than size.
 */
static ssize_t
receive_message(const struct conn *conn, char *data, size_t size,
    struct receipt *receipt)
{
	bool is_record = conn->protocol == PROTOCOL_UNIX_SEQPACKET;
	_Alignas(struct cmsghdr) char space[CMSG_UNIX_MAX + CMSG_ARRIVAL_SPACE];
	struct iovec piece = { data, size };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = (is_record ? CMSG_UNIX_MAX : 0) +
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

/* If the kernel gives no arrival time, receipt->arrived is the current time. */
static ssize_t
receive(struct conn *conn, const struct conn_io *io, char *data, size_t size,
    struct receipt *receipt)
{
	ssize_t n;

	*receipt = (struct receipt){ 0 };
	if (io->arrival && !conn->arrival && conn->protocol != PROTOCOL_UNIX)
		conn->arrival = sockopt_set(conn->fd, SOL_SOCKET,
				    SO_TIMESTAMPNS, 1) == 0;
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

/*
 * The client has ended.  Without an owner its replies would stay in the kernel
 * for minutes if it does not take them: see that it does.
 */
static enum conn_want
part(struct conn *conn)
{
	enum conn_want want = end(conn, CLOSE_CLIENT);

	if (conn->protocol != PROTOCOL_TCP || !conn_is_untaken(conn))
		return want;
	shutdown(conn->fd, SHUT_WR);
	return CONN_WANT_TAKEN;
}

static enum conn_want
await_taken(const struct conn *conn, struct conn_io *io)
{
	ssize_t n = recv(conn->fd, io->in, sizeof(io->in), 0);

	/* An error: the client is gone. */
	if ((n == -1 && errno != EAGAIN && errno != EINTR) ||
	    !conn_is_untaken(conn))
		return CONN_WANT_CLOSE;
	return CONN_WANT_TAKEN;
}

static void
note_busy(struct conn *conn)
{
	conn->busy = true;
	if (conn->protocol == PROTOCOL_TCP)
		sockopt_widen(conn->fd);
}

/*
 * Cuts a reply that was not sent as a whole: of the parts only the first that
 * was not remains.  Returns it.
 */
static const struct bulk_part *
cut_reply(struct conn *conn, struct conn_io *io, struct conn_state *reply)
{
	const struct bulk *bulk = io->loan.bulk;
	const struct bulk_part *part = bulk->parts;
	size_t sent = (size_t)(reply->bytes - bulk->out), stamps_sent = 0;

	for (; part->out_end <= sent; part++)
		stamps_sent = part->stamps;
	count(conn, io, TRAFFIC_MESSAGES_OUT, stamps_sent);
	reply->messages = part->stamps - stamps_sent;
	reply->out_len = part->out_end - sent;
	return part;
}

/* Input that is not answered or kept stays in the kernel. */
static enum conn_want
answer_bulk(struct conn *conn, struct conn_io *io, size_t len)
{
	struct bulk *bulk = io->loan.bulk;
	struct framing_text stamp;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	stamp.bytes = stamp_at(io->stamp, &now, &stamp.len);
	int count_parts = bulk_stamp(bulk, len, conn->line_start, stamp);
	const struct bulk_part *last = &bulk->parts[count_parts - 1];
	struct conn_state reply = {
		.messages = last->stamps,
		.out_len = last->out_end,
		.bytes = bulk->out,
	};
	bool is_sent = send_reply(conn, io, &reply) == 0;
	if (!is_sent && errno != EAGAIN)
		return end(conn, CLOSE_ERROR);
	if (!is_sent)
		last = cut_reply(conn, io, &reply);
	if (bulk_skip(bulk, conn->fd, last->in_end) == -1)
		return end(conn, CLOSE_ERROR);
	conn->line_start = last->line_start;
	conn->bytes_in += last->in_end;
	conn->messages += last->stamps;
	count(conn, io, TRAFFIC_BYTES_IN, last->in_end);
	count(conn, io, TRAFFIC_MESSAGES_IN, last->stamps);
	return is_sent ? CONN_WANT_READ : keep(conn, &reply, reply.bytes);
}

/* Whether lines of conn may be answered through a bulk. */
static bool
suits_bulk(const struct conn *conn, const struct conn_io *io)
{
	return conn->framing == FRAMING_LINE &&
	       conn->protocol == PROTOCOL_TCP && conn->want == CONN_WANT_READ &&
	       !io->arrival;
}

static enum conn_want
conn_receive(struct conn *conn, struct conn_io *io)
{
	bool is_lines = conn->framing == FRAMING_LINE;

	if (io->loan.bulk != NULL && suits_bulk(conn, io)) {
		ssize_t len = bulk_peek(io->loan.bulk, conn->fd);
		if (len > 0)
			return answer_bulk(conn, io, (size_t)len);
	}
	char *data = io->in + STAMP_TEXT_MAX;
	struct receipt receipt;
	size_t size = is_lines ? LINES_MAX : CHUNK_MAX;
	ssize_t n = receive(conn, io, data, size, &receipt);
	bool is_over = n == -1 || receipt.is_end;

	io->loan.is_full = n == LINES_MAX && suits_bulk(conn, io);
	if (n == -1 && errno == EAGAIN)
		return conn->want;
	/* Our side is shut down: what the client still sends is discarded. */
	if (conn->want == CONN_WANT_LINGER)
		return is_over ? end(conn, CLOSE_STOP) : CONN_WANT_LINGER;
	if (is_over)
		return n == -1 ? end(conn, CLOSE_ERROR) : part(conn);
	conn->bytes_in += (size_t)n;
	count(conn, io, TRAFFIC_BYTES_IN, (size_t)n);
	if ((size_t)n == size && !conn->busy)
		note_busy(conn);
	if (is_lines)
		return stamp_lines(conn, io, &receipt.arrived, data, (size_t)n);
	return stamp_chunk(conn, io, &receipt.arrived, data, (size_t)n);
}

/* Sends what was kept, then stamps the input that was kept with it. */
static enum conn_want
conn_flush(struct conn *conn, struct conn_io *io)
{
	struct conn_kept *kept = conn->kept;
	struct conn_state *reply = &kept->reply;
	enum conn_want want = CONN_WANT_READ;
	size_t before = reply->out_len;

	if (send_reply(conn, io, reply) == -1) {
		if (errno != EAGAIN)
			return end(conn, CLOSE_ERROR);
		if (reply->out_len < before && !conn->holds)
			conn->taken = count_taken(conn);
		return CONN_WANT_WRITE;
	}
	conn->kept = NULL;
	if (reply->in_len > 0)
		want = stamp_lines(conn, io, &reply->arrived, reply->bytes,
		    reply->in_len);
	free(kept);
	return want;
}

enum conn_want
conn_ready(struct conn *conn, struct conn_io *io)
{
	if (conn->want == CONN_WANT_WRITE)
		return conn_flush(conn, io);
	return conn->want == CONN_WANT_TAKEN ? await_taken(conn, io)
	                                     : conn_receive(conn, io);
}

enum conn_want
conn_finish(struct conn *conn)
{
	shutdown(conn->fd, SHUT_WR);
	return CONN_WANT_LINGER;
}
