#ifndef DATAGRAM_SEND_BATCH_H
#define DATAGRAM_SEND_BATCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/counters.h"
#include "base/protocol.h"

#define SEND_BATCH_ROWS 64
#define SEND_BATCH_SEGMENTS 64   /* in one row; newer kernels take 128 */
#define SEND_BATCH_ROW_MAX 65507 /* bytes: the longest datagram */
#define SEND_BATCH_BYTES (256 * 1024 + SEND_BATCH_ROW_MAX)

/*
 * Replies that wait to be sent from a datagram socket by one sendmmsg(2).  A
 * row is one datagram, or several to one client that the kernel takes apart
 * (GSO): segments of equal length, of which only the last may be shorter.  A
 * reply that can't be sent is counted and dropped; the others are still sent.
 * A warning, at most one a minute, says when the send buffer of UDP is full.
 * Owned by one thread.
 */
struct send_batch {
	int fd;
	enum protocol protocol;
	struct counters *counters;
	uint64_t warned_ms; /* of a full send buffer, last; 0: never */
	int row_count;
	struct mmsghdr rows[SEND_BATCH_ROWS];
	struct iovec pieces[SEND_BATCH_ROWS];
	size_t segment_len[SEND_BATCH_ROWS]; /* 0: the row is one datagram */
	size_t datagrams[SEND_BATCH_ROWS];
	struct {
		const struct msghdr *request;
		size_t segment_len;
		size_t count; /* in the last row; 0: it has no row yet */
	} segments;           /* that are being added */
	size_t used;          /* bytes */
	char bytes[SEND_BATCH_BYTES]; /* of segments; others stay in place */
};

/* fd and counters remain the caller's. */
void send_batch_init(struct send_batch *batch, int fd, enum protocol protocol,
    struct counters *counters);

/*
 * Adds a datagram to the sender of request, with the control messages in it.
 * Request and data must not change before the next flush.  A full batch is sent
 * first.
 */
void send_batch_add(struct send_batch *batch, const struct msghdr *request,
    char *data, size_t len);

/*
 * Starts a group of segments to the sender of request, of at most segment_len
 * bytes each; the same rules apply.  Its row carries the control messages left
 * in request: the source address.  send_batch_add_segment adds copies to it.
 */
void send_batch_begin_segments(struct send_batch *batch, struct msghdr *request,
    size_t segment_len);
void send_batch_add_segment(struct send_batch *batch, const char *stamp,
    size_t stamp_len, const char *data, size_t data_len);

/* Sends all. */
void send_batch_flush(struct send_batch *batch);

#endif
