#ifndef DATAGRAM_SEND_BATCH_H
#define DATAGRAM_SEND_BATCH_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/counters.h"
#include "base/protocol.h"
#include "datagram/burst.h"

#define SEND_BATCH_ROWS 64
#define SEND_BATCH_BYTES (256 * 1024 + BURST_BYTES_MAX)

/*
 * Replies on their way out of a datagram socket, as many at a call as fit, and
 * bursts as one where the kernel can take them apart.  A reply that can't be
 * sent is lost and counted; those behind it are not.  Owned by one thread.
 */
struct send_batch {
	int fd;
	enum protocol protocol;
	struct counters *counters;
	int row_count;
	struct mmsghdr rows[SEND_BATCH_ROWS];
	struct iovec pieces[SEND_BATCH_ROWS];
	size_t segment_len[SEND_BATCH_ROWS]; /* 0: one datagram */
	struct burst burst; /* that of the last row, or none yet */
	size_t used;
	char bytes[SEND_BATCH_BYTES]; /* of bursts; touched only by them */
};

/* fd and counters stay the caller's. */
void send_batch_init(struct send_batch *outbox, int fd, enum protocol protocol,
    struct counters *counters);

/*
 * Adds a datagram to the sender of request, which brings its control data too.
 * All that is pointed to must stay as it is until the next flush.
 */
void send_batch_add(struct send_batch *outbox, const struct msghdr *request,
    char *data, size_t len);

/*
 * Begins a burst, and adds the next datagram of it to the sender of request,
 * whose control data asks for segments of segment_len bytes.  What is added is
 * copied.
 */
void send_batch_begin_burst(struct send_batch *outbox, size_t segment_len);
void send_batch_add_segment(struct send_batch *outbox,
    const struct msghdr *request, const char *stamp, size_t stamp_len,
    const char *data, size_t len);

/* Sends all. */
void send_batch_flush(struct send_batch *outbox);

#endif
