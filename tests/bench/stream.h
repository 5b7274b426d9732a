#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dialogue.h"
#include "meter.h"
#include "plan.h"

struct flow;

#define STREAM_BUFFER (256 * 1024)

/*
 * Connections that send lines at full speed and receive the replies.  A sample
 * is checked; the kernel drops the rest, so that the load keeps pace.
 */
struct stream {
	int epoll_fd;
	struct flow *flows;
	size_t step_bytes; /* maximum of one send or receive */
	struct dialogue line;
	struct meter *meter;
	char out[STREAM_BUFFER]; /* lines, a whole number of them */
	size_t out_len;
	char in[STREAM_BUFFER];
};

void stream_open(struct stream *stream, const struct plan *plan,
    struct meter *meter, size_t step_bytes);

/* Sends and receives once on each connection that is ready. */
void stream_step(struct stream *stream, int timeout_ms);

/* Runs the whole workload. */
void stream_run(const struct plan *plan, struct meter *meter);

#endif
