#ifndef PIPE_OUTPUT_H
#define PIPE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "stamp/framing.h"

/*
 * Bytes on their way to a descriptor, which never blocks: either a text of its
 * own, to which pieces are added, or bytes that stay the caller's.
 */
struct output {
	int fd;
	enum { OUTPUT_FREE, OUTPUT_SOCKET, OUTPUT_BLOCKING } kind;
	const char *at; /* what has to be written */
	size_t len;
	size_t written; /* in front of at, if something is left */
	char *text;
	size_t text_len, text_size;
};

/* Writes to fd, without a change of what others see of it. */
void output_init(struct output *output, int fd);
void output_free(struct output *output);

/* Adds to the text, all of which has to fit into memory.  -1 with errno. */
int output_add(struct output *output, struct framing_text piece);

/* Drops all but the first bytes of the text. */
void output_shorten(struct output *output, size_t text_len);

/* Bytes to write; valid until they were written.  Only if nothing is left. */
void output_borrow(struct output *output, struct framing_text bytes);

/* Whether something is left to write. */
bool output_pending(const struct output *output);

/*
 * Writes what can be written at once; call it if fd is writable.  -1 with errno
 * on an error.
 */
int output_write(struct output *output);

#endif
