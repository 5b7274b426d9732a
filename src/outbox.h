#ifndef OUTBOX_H
#define OUTBOX_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "burst.h"
#include "counters.h"
#include "protocol.h"

#define OUTBOX_ROWS 64
#define OUTBOX_BYTES (256 * 1024 + BURST_BYTES_MAX)

/*
 * Replies on their way out of a datagram socket, as many at a call as fit, and
 * bursts as one where the kernel can take them apart.  A reply that can't be
 * sent is lost and counted; those behind it are not.  Owned by one thread.
 */
struct outbox {
	int fd;
	enum protocol protocol;
	struct counters *counters;
	int row_count;
	struct mmsghdr rows[OUTBOX_ROWS];
	struct iovec pieces[OUTBOX_ROWS];
	size_t segment_len[OUTBOX_ROWS]; /* 0: one datagram */
	struct burst burst;              /* that of the last row, or none yet */
	size_t used;
	char bytes[OUTBOX_BYTES]; /* of bursts; touched only by them */
};

/* fd and counters stay the caller's. */
void outbox_init(struct outbox *outbox, int fd, enum protocol protocol,
    struct counters *counters);

/*
 * Adds a datagram to the sender of request, which brings its control data too.
 * All that is pointed to must stay as it is until the next flush.
 */
void outbox_add(struct outbox *outbox, const struct msghdr *request, char *data,
    size_t len);

/*
 * Begins a burst, and adds the next datagram of it to the sender of request,
 * whose control data asks for segments of segment_len bytes.  What is added is
 * copied.
 */
void outbox_begin_burst(struct outbox *outbox, size_t segment_len);
void outbox_add_segment(struct outbox *outbox, const struct msghdr *request,
    const char *stamp, size_t stamp_len, const char *data, size_t len);

/* Sends all. */
void outbox_flush(struct outbox *outbox);

#endif
