#ifndef BASE_STREAMS_H
#define BASE_STREAMS_H

/*
 * Opens the standard streams that are closed, because a new socket could get
 * the number of one; the output stays closed for writing.  -1 with errno.
 * First in main.
 */
int streams_open(void);

/*
 * Opens the pipe or terminal behind fd once more, non-blocking, to write:
 * O_NONBLOCK belongs to the open file, which other processes share.  -1: it is
 * something else, is only open to read, or is of another user.
 */
int streams_open_again(int fd);

#endif
