#ifndef PING_PAYLOAD_H
#define PING_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "stamp/stamp_reader.h"

/*
 * What ping sends, a line: "1a2b3c4d 17 ....": a number that is its own, and
 * the number of the message.  All functions are pure.
 */

#define PAYLOAD_MIN 24    /* bytes, with the newline */
#define PAYLOAD_HEAD 1200 /* bytes of a reply that are looked at */

/* Writes size bytes, at least PAYLOAD_MIN. */
void payload_write(char *to, size_t size, uint32_t id, uint64_t number);

enum payload_kind {
	PAYLOAD_PART, /* a line that has not ended yet */
	PAYLOAD_STAMPED,
	PAYLOAD_BARE, /* without a stamp: it shares that of the line before */
	PAYLOAD_FOREIGN, /* not a reply to this ping, or not "[stamp] data" */
};

/* A reply. */
struct payload_reply {
	uint64_t number;
	size_t bytes;
	bool has_reading; /* the stamp could be read */
	struct stamp_reading reading;
};

/* Reads a reply that is a record of its own.  Never PAYLOAD_PART. */
enum payload_kind payload_read(uint32_t id, const char *data, size_t len,
    struct payload_reply *reply);

/* A line of a stream, as far as it has come.  All zero at first. */
struct payload_line {
	size_t len;
	char head[PAYLOAD_HEAD];
};

/* Bytes that belong to the caller. */
struct payload_text {
	const char *bytes;
	size_t len;
};

/*
 * Takes text up to the end of the line out of *text; reads the line when it has
 * ended.
 */
enum payload_kind payload_take(struct payload_line *line, uint32_t id,
    struct payload_text *text, struct payload_reply *reply);

#endif
