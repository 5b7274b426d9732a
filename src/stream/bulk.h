#ifndef STREAM_BULK_H
#define STREAM_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "stamp/framing.h"

/*
 * Larger buffers for the lines of a TCP stream.  A worker lends them to a
 * stream that keeps it busy alone: then fewer system calls serve more, and no
 * other connection waits for its turn meanwhile.
 */

#define BULK_IN 262144  /* bytes, received at once */
#define BULK_OUT 458752 /* and sent: lines of 64 bytes and their stamps */
#define BULK_PARTS 24   /* all but the last have 23 KiB of output at least */
#define BULK_ROUNDS 256 /* that a stream is busy alone before it gets them */

/* Output of at most CONN_KEPT_MAX bytes, and where it and its input end. */
struct bulk_part {
	size_t in_end, out_end;
	size_t stamps;   /* in this part and in those before */
	bool line_start; /* the next byte begins a line */
};

struct bulk {
	struct bulk_part parts[BULK_PARTS];
	char in[BULK_IN];
	char out[BULK_OUT];
};

/* As recv(2), but what is in bulk->in then stays in the kernel as well. */
ssize_t bulk_peek(struct bulk *bulk, int fd);

/*
 * Receives len bytes that were peeked at.  TCP does not copy them; any other
 * socket overwrites bulk->in.  -1 with errno.
 */
int bulk_skip(struct bulk *bulk, int fd, size_t len);

/*
 * Stamps the first lines of len bytes in bulk->in, as many as bulk->out holds.
 * Returns the number of parts; at least one when len is not 0.
 */
int bulk_stamp(struct bulk *bulk, size_t len, bool line_start,
    struct framing_text stamp);

/* A worker's; zero at first. */
struct bulk_loan {
	struct bulk *bulk; /* NULL: none is lent; free(3) it at the end */
	bool is_full;      /* the last receive took as much as it could */
	const void *alone; /* the only connection that was ready lately */
	int rounds;        /* in which it was, and was_full */
};

/*
 * To be called after each connection that was served.  alone is that connection
 * if no other was ready, else NULL.  If memory is short, the next attempt to
 * lend comes after another BULK_ROUNDS.
 */
void bulk_note_round(struct bulk_loan *loan, const void *alone);

#endif
