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
 * Connections that send lines as fast as they can and receive what comes back.
 * The kernel drops most of it unseen, so that the load keeps pace; a sample is
 * checked.
 */
struct stream {
	int epoll_fd;
	struct flow *flows;
	size_t step_bytes; /* sent or received at once, at most */
	struct dialogue line;
	struct meter *meter;
	char out[STREAM_BUFFER]; /* lines, a whole number of them */
	size_t out_len;
	char in[STREAM_BUFFER];
};

void stream_open(struct stream *stream, const struct plan *plan,
    struct meter *meter, size_t step_bytes);

/* Sends and receives once on those connections that can. */
void stream_step(struct stream *stream, int timeout_ms);

/* The whole workload. */
void stream_run(const struct plan *plan, struct meter *meter);

#endif
