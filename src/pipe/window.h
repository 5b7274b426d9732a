#ifndef PIPE_WINDOW_H
#define PIPE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lines/account.h"

/*
 * The lines that were read and not answered, as a ring.  Its memory is mapped
 * twice, one behind the other, so that all of it can be read and written in one
 * piece wherever it begins.  Positions count the bytes of the input.
 *
 * With a path the memory is that of a file (the spool): when the process is
 * killed, what it read stays there, and the next window at this path begins
 * with it.  The file is locked, and removed by window_close when it is empty.
 * Free bytes of it are zero, so that what a read left there is found even if
 * the process was killed before it could count it.
 */
struct window {
	char *bytes;
	size_t size;
	size_t wanted; /* a larger one shrinks when a long line has gone */
	uint64_t begin, end;
	int fd;
	const char *path;         /* NULL: none */
	struct window_head *head; /* of the file; NULL: none */
};

/*
 * size is rounded up.  -1 with errno: EWOULDBLOCK, another process has the file
 * at path; EINVAL, it is not a spool.  path must outlive the window.
 */
int window_open(struct window *window, size_t size, const char *path);
void window_close(struct window *window);

/*
 * Where the lines come from.  A last line that a spool has without its end is
 * continued by the same pipe or socket; else it gets a newline, as the rest of
 * it is lost.  -1 with errno.
 */
int window_set_input(struct window *window, int fd);

/*
 * When the lines of a spool were read: keeps times, which are of clock_ms(),
 * and sets times to those that were found, unless there are none.
 */
void window_save_times(struct window *window,
    const struct account_times *times);
void window_load_times(const struct window *window,
    struct account_times *times);

/* Where a position is, with all that follows in the window. */
char *window_at(const struct window *window, uint64_t position);

/*
 * How much may be added: up to the size that was wanted, beyond it only while
 * the window has nothing but the part of a line.
 */
size_t window_room(const struct window *window, bool is_part);

/* How many lines there are; the part of one counts too. */
size_t window_lines(const struct window *window);

/* Bytes were written to the end. */
void window_add(struct window *window, size_t bytes);

/* What lies in front of position is free; the window may move. */
void window_release(struct window *window, uint64_t position);

/*
 * The reply to the first line was written to output in part.  A spool remembers
 * it until window_release, and window_is_cut tells whether this output is the
 * same file.
 */
void window_note_cut(struct window *window, int output);
bool window_is_cut(const struct window *window, int output);

/* Doubles the window.  -1 with errno. */
int window_grow(struct window *window);

#endif
