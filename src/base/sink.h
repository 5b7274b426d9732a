#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A descriptor for lines that somebody should read: a file, a pipe, a terminal,
 * a socket.  Readers may stop (Ctrl-S, a pager), and lines must not stop the
 * threads that write them.  So a line waits 100 ms at a time for room, and all
 * lines together a second and a tenth of the time.  None waits after one that
 * was not taken, until one is taken again.
 * One thread at a time may use a sink.
 */
enum sink_kind {
	SINK_SHARED, /* write(2) may block: poll(2) says when it does not */
	SINK_SOCKET,
	SINK_OWN, /* a file, or not blocking without being shared */
};

struct sink {
	int fd; /* not the sink's */
	enum sink_kind kind;
	bool is_refused;  /* the last text was not taken */
	bool is_torn;     /* a part of it was */
	uint64_t paid_ms; /* it moves on by 10 for each ms of a wait */
};

/* Other processes that share fd don't notice. */
void sink_open(struct sink *sink, int fd);

/*
 * Whether the descriptor takes all of text; if not, errno says why.  Text after
 * a part begins a new line.
 */
bool sink_write(struct sink *sink, const char *text, size_t len);

#endif
