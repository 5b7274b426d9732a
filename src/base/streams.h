#ifndef BASE_STREAMS_H
#define BASE_STREAMS_H

/*
 * Opens the standard streams that are closed, because a new socket could get
 * the number of one; the output stays closed for writing.  -1 with errno.
 * First in main.
 */
int streams_open(void);

#endif
