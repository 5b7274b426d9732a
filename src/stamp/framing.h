#ifndef STAMP_FRAMING_H
#define STAMP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#define FRAMING_SHORT 64 /* bytes; what is shorter is copied faster */

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
 * Puts stamp into the stamp_len bytes in front of data, which the caller has
 * left free, and returns where the whole begins.
 */
char *framing_chunk(char *data, const char *stamp, size_t stamp_len);

struct framing_run {
	size_t consumed; /* bytes of data taken */
	size_t len;      /* bytes put out */
	size_t stamps;
};

/*
 * Copies data to out with a stamp at the start of each line, and stops in front
 * of the line that would need stamp number max_stamps + 1.  out has room for
 * data_len + max_stamps * stamp_len bytes; of stamp at least FRAMING_SHORT bytes
 * can be read.  *line_start says whether the next
 * byte begins a line, and is kept for the next run of the same stream.
 */
struct framing_run framing_lines(bool *line_start, const char *data,
    size_t data_len, const char *stamp, size_t stamp_len, size_t max_stamps,
    char *out);

#endif
