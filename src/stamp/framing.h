#ifndef STAMP_FRAMING_H
#define STAMP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#define FRAMING_SHORT 64 /* bytes; shorter copies have a fixed length */

/*
 * Where stamps go in a run of bytes.  Pure: no I/O and no clock; any thread may
 * call any function on memory of its own.
 */
enum framing {
	FRAMING_CHUNK, /* in front of each piece of data as it was received */
	FRAMING_LINE,  /* at the start of every line */
};

const char *framing_name(enum framing framing);

/* The framing of a name; -1 when there is none. */
int framing_parse(const char *name);

/*
 * Puts stamp into the stamp_len bytes in front of data, which are free, and
 * returns where stamp and data begin.
 */
char *framing_chunk(char *data, const char *stamp, size_t stamp_len);

/* Bytes that belong to the caller. */
struct framing_text {
	const char *bytes;
	size_t len;
};

struct framing_run {
	size_t consumed; /* bytes of data */
	size_t len;      /* bytes written to out */
	size_t stamps;
};

/*
 * Copies data to out with stamp at the start of each line, and stops in front
 * of the line that would need stamp number max_stamps + 1.  out has room for
 * data.len + max_stamps * stamp.len bytes; at least FRAMING_SHORT bytes of
 * stamp are readable.  *line_start says whether the next byte begins a line; it
 * is kept for the next run of the same stream.
 */
struct framing_run framing_lines(bool *line_start, struct framing_text data,
    struct framing_text stamp, size_t max_stamps, char *out);

#endif
