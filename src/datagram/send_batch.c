#include "datagram/send_batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "net/cmsg.h"

#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

void
send_batch_init(struct send_batch *outbox, int fd, enum protocol protocol,
    struct counters *counters)
{
	outbox->fd = fd;
	outbox->protocol = protocol;
	outbox->counters = counters;
	outbox->row_count = 0;
	outbox->used = 0;
}

static void
count_sent(struct send_batch *outbox, size_t messages, size_t bytes)
{
	counters_add_traffic(outbox->counters, outbox->protocol,
	    TRAFFIC_MESSAGES_OUT, messages);
	counters_add_traffic(outbox->counters, outbox->protocol,
	    TRAFFIC_BYTES_OUT, bytes);
}

static size_t
row_messages(const struct send_batch *outbox, int row)
{
	size_t segment_len = outbox->segment_len[row];

	return segment_len == 0
	         ? 1
	         : burst_count(outbox->pieces[row].iov_len, segment_len);
}

/*
 * The route of a burst may have a smaller packet size than its segments, or no
 * device that computes checksums: each is sent alone, and may fragment.
 */
static void
send_singly(struct send_batch *outbox, int row)
{
	struct msghdr header = outbox->rows[row].msg_hdr;
	struct iovec all = outbox->pieces[row], piece;
	size_t segment_len = outbox->segment_len[row];

	cmsg_clear_segment(&header);
	header.msg_iov = &piece;
	for (size_t at = 0; at < all.iov_len; at += piece.iov_len) {
		ssize_t n;

		piece.iov_base = (char *)all.iov_base + at;
		piece.iov_len = burst_segment(all.iov_len, segment_len, at);
		while ((n = sendmsg(outbox->fd, &header, FLAGS)) == -1 &&
		       errno == EINTR)
			;
		if (n == -1)
			counters_add(outbox->counters, COUNTER_DROPPED_SEND, 1);
		else
			count_sent(outbox, 1, (size_t)n);
	}
}

/* What says that a burst can't be sent as one, though its datagrams might. */
static bool
concerns_bursts(int problem)
{
	return problem == EINVAL || problem == EMSGSIZE || problem == EIO ||
	       problem == EOPNOTSUPP;
}

static void
note_failure(struct send_batch *outbox, int row, int problem)
{
	if (outbox->segment_len[row] == 0 || !concerns_bursts(problem)) {
		counters_add(outbox->counters, COUNTER_DROPPED_SEND,
		    row_messages(outbox, row));
		return;
	}
	send_singly(outbox, row);
}

void
send_batch_flush(struct send_batch *outbox)
{
	size_t bytes = 0, messages = 0;

	for (int at = 0; at < outbox->row_count;) {
		int n = sendmmsg(outbox->fd, outbox->rows + at,
		    (unsigned)(outbox->row_count - at), FLAGS);
		if (n > 0) {
			for (int row = at; row < at + n; row++) {
				bytes += outbox->rows[row].msg_len;
				messages += row_messages(outbox, row);
			}
			at += n;
		} else if (errno != EINTR) {
			note_failure(outbox, at++, errno);
		}
	}
	count_sent(outbox, messages, bytes);
	outbox->row_count = 0;
	outbox->used = 0;
}

static void
add_row(struct send_batch *outbox, const struct msghdr *request, char *data,
    size_t len, size_t segment_len)
{
	int row = outbox->row_count++;
	struct msghdr *header = &outbox->rows[row].msg_hdr;

	outbox->pieces[row] = (struct iovec){ data, len };
	outbox->segment_len[row] = segment_len;
	*header = *request;
	header->msg_iov = &outbox->pieces[row];
	header->msg_iovlen = 1;
	header->msg_flags = 0;
}

void
send_batch_add(struct send_batch *outbox, const struct msghdr *request,
    char *data, size_t len)
{
	if (outbox->row_count == SEND_BATCH_ROWS)
		send_batch_flush(outbox);
	add_row(outbox, request, data, len, 0);
}

void
send_batch_begin_burst(struct send_batch *outbox, size_t segment_len)
{
	burst_begin(&outbox->burst, NULL, segment_len);
}

void
send_batch_add_segment(struct send_batch *outbox, const struct msghdr *request,
    const char *stamp, size_t stamp_len, const char *data, size_t len)
{
	struct burst *burst = &outbox->burst;

	if (burst->bytes == NULL || !burst_has_room(burst, stamp_len + len)) {
		if (outbox->row_count == SEND_BATCH_ROWS ||
		    sizeof(outbox->bytes) - outbox->used < BURST_BYTES_MAX)
			send_batch_flush(outbox);
		burst_begin(burst, outbox->bytes + outbox->used,
		    burst->segment_len);
		add_row(outbox, request, burst->bytes, 0, burst->segment_len);
	}
	burst_add(burst, stamp, stamp_len, data, len);
	outbox->pieces[outbox->row_count - 1].iov_len = burst->len;
	outbox->used += stamp_len + len;
}
