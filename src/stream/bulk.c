#include "stream/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/param.h>
#include <sys/socket.h>

#include "stream/conn.h"

#define PART_IN 40960 /* leaves 24 KiB of CONN_KEPT_MAX for stamps */

ssize_t
bulk_peek(struct bulk *bulk, int fd)
{
	return recv(fd, bulk->in, sizeof(bulk->in), MSG_PEEK);
}

int
bulk_skip(struct bulk *bulk, int fd, size_t len)
{
	while (len > 0) {
		ssize_t n = recv(fd, bulk->in, len, MSG_TRUNC);
		if (n > 0)
			len -= (size_t)n;
		else if (n == 0 || errno != EINTR)
			return -1;
	}
	return 0;
}

int
bulk_stamp(struct bulk *bulk, size_t len, bool line_start,
    struct framing_text stamp)
{
	struct bulk_part at = { .line_start = line_start };
	int count = 0;

	while (at.in_end < len && count < BULK_PARTS &&
	       at.out_end + CONN_KEPT_MAX <= sizeof(bulk->out)) {
		size_t size = MIN(len - at.in_end, PART_IN);
		struct framing_run run = framing_lines(&at.line_start,
		    (struct framing_text){ bulk->in + at.in_end, size }, stamp,
		    (CONN_KEPT_MAX - size) / stamp.len, bulk->out + at.out_end);
		at.in_end += run.consumed;
		at.out_end += run.len;
		at.stamps += run.stamps;
		bulk->parts[count++] = at;
	}
	return count;
}

void
bulk_note_round(struct bulk_loan *loan, const void *alone)
{
	if (alone == NULL || alone != loan->alone) {
		free(loan->bulk);
		*loan = (struct bulk_loan){ .alone = alone };
	} else if (loan->bulk == NULL && loan->is_full &&
		   ++loan->rounds == BULK_ROUNDS) {
		loan->bulk = malloc(sizeof(*loan->bulk));
		loan->rounds = 0;
	}
}
