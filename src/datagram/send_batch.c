#include "datagram/send_batch.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/param.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/cmsg.h"
#include "net/sockopt.h"

#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)
#define WARN_EVERY_MS 60000

void
send_batch_init(struct send_batch *batch, int fd, enum protocol protocol,
    struct counters *counters)
{
	batch->fd = fd;
	batch->protocol = protocol;
	batch->counters = counters;
	batch->warned_ms = 0;
	batch->row_count = 0;
	batch->used = 0;
}

static void
count_sent(struct send_batch *batch, size_t datagrams, size_t bytes)
{
	counters_add_traffic(batch->counters, batch->protocol,
	    TRAFFIC_MESSAGES_OUT, datagrams);
	counters_add_traffic(batch->counters, batch->protocol,
	    TRAFFIC_BYTES_OUT, bytes);
}

static void
warn_full(struct send_batch *batch)
{
	uint64_t now_ms = clock_ms();

	if (batch->warned_ms != 0 && now_ms - batch->warned_ms < WARN_EVERY_MS)
		return;
	batch->warned_ms = now_ms;
	int size = sockopt_send_buffer(batch->fd);
	const char *cap = size < SOCKOPT_SEND_BUFFER
	                    ? "; net.core.wmem_max keeps it below 4096 KiB"
	                    : "";
	log_warning("udp: replies are dropped: they wait for neighbours that "
		    "do not answer ARP, or for a slow link, and the send "
		    "buffer of %d KiB is full%s",
	    size >> 10, cap);
}

/* Counts datagrams that the kernel did not take. */
static void
drop(struct send_batch *batch, size_t datagrams, int problem)
{
	counters_add(batch->counters, COUNTER_DROPPED_SEND, datagrams);
	/* EAGAIN of a Unix socket tells of its client. */
	if (batch->protocol == PROTOCOL_UDP &&
	    (problem == EAGAIN || problem == ENOBUFS))
		warn_full(batch);
}

/* Sends each segment of row as a datagram that the route may fragment. */
static void
send_singly(struct send_batch *batch, int row)
{
	struct msghdr header = batch->rows[row].msg_hdr;
	struct iovec left = batch->pieces[row], piece = left;

	cmsg_clear_segment(&header);
	header.msg_iov = &piece;
	while (left.iov_len > 0) {
		piece.iov_len = MIN(batch->segment_len[row], left.iov_len);
		ssize_t n = sendmsg(batch->fd, &header, FLAGS);
		if (n == -1)
			drop(batch, 1, errno);
		else
			count_sent(batch, 1, (size_t)n);
		left.iov_len -= piece.iov_len;
		piece.iov_base = (char *)piece.iov_base + piece.iov_len;
	}
}

static void
handle_failure(struct send_batch *batch, int row, int problem)
{
	/* The kernel may have failed only to take segments apart: the route has
	 * shorter packets, or its device computes no checksums. */
	if (batch->segment_len[row] != 0 &&
	    (problem == EINVAL || problem == EMSGSIZE || problem == EIO ||
		problem == EOPNOTSUPP))
		send_singly(batch, row);
	else
		drop(batch, batch->datagrams[row], problem);
}

void
send_batch_flush(struct send_batch *batch)
{
	int at = 0;

	while (at < batch->row_count) {
		int n = sendmmsg(batch->fd, batch->rows + at,
		    (unsigned)(batch->row_count - at), FLAGS);
		if (n == -1 && errno != EINTR)
			handle_failure(batch, at++, errno);
		for (; n > 0; n--, at++)
			count_sent(batch, batch->datagrams[at],
			    batch->rows[at].msg_len);
	}
	batch->row_count = 0;
	batch->used = 0;
}

/* Without data the row is for segments, which are added to it later. */
static void
add_row(struct send_batch *batch, const struct msghdr *request, char *data,
    size_t len, size_t segment_len)
{
	if (batch->row_count == SEND_BATCH_ROWS ||
	    (data == NULL &&
		sizeof(batch->bytes) - batch->used < SEND_BATCH_ROW_MAX))
		send_batch_flush(batch);
	if (data == NULL)
		data = batch->bytes + batch->used;
	int row = batch->row_count++;
	struct msghdr *header = &batch->rows[row].msg_hdr;
	batch->pieces[row] = (struct iovec){ data, len };
	batch->segment_len[row] = segment_len;
	batch->datagrams[row] = 1;
	*header = *request;
	header->msg_iov = &batch->pieces[row];
	header->msg_iovlen = 1;
	header->msg_flags = 0;
}

void
send_batch_add(struct send_batch *batch, const struct msghdr *request,
    char *data, size_t len)
{
	add_row(batch, request, data, len, 0);
}

void
send_batch_begin_segments(struct send_batch *batch, struct msghdr *request,
    size_t segment_len)
{
	/* No longer segment can be sent, but a shorter last one can. */
	segment_len = MIN(segment_len, SEND_BATCH_ROW_MAX);
	cmsg_set_segment(request, segment_len);
	batch->segments.request = request;
	batch->segments.segment_len = segment_len;
	batch->segments.count = 0;
}

static bool
last_row_has_room(const struct send_batch *batch, size_t len)
{
	size_t count = batch->segments.count;

	if (count == 0 || count == SEND_BATCH_SEGMENTS)
		return false;
	/* Nothing may follow a segment that is shorter. */
	size_t row_len = batch->pieces[batch->row_count - 1].iov_len;
	return row_len == count * batch->segments.segment_len &&
	       row_len + len <= SEND_BATCH_ROW_MAX;
}

void
send_batch_add_segment(struct send_batch *batch, const char *stamp,
    size_t stamp_len, const char *data, size_t data_len)
{
	size_t len = stamp_len + data_len;

	assert(len <= batch->segments.segment_len);
	if (!last_row_has_room(batch, len)) {
		add_row(batch, batch->segments.request, NULL, 0,
		    batch->segments.segment_len);
		batch->segments.count = 0;
	}
	char *end = batch->bytes + batch->used;
	memcpy(mempcpy(end, stamp, stamp_len), data, data_len);
	batch->pieces[batch->row_count - 1].iov_len += len;
	batch->used += len;
	batch->datagrams[batch->row_count - 1] = ++batch->segments.count;
}
