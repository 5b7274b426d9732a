#ifndef PINGPONG_H
#define PINGPONG_H

#include <stddef.h>
#include <stdint.h>

#include "dialogue.h"
#include "meter.h"
#include "plan.h"

struct ping;

/* Many connections, each with one message on its way at any time. */
struct pingpong {
	int epoll_fd, count;
	struct ping *pings;
	struct dialogue dialogue;
	struct meter *meter;
	char buffer[65536];
};

/* Connects all and has each send; ends the program when that fails. */
void pingpong_open(struct pingpong *pingpong, const struct plan *plan,
    struct meter *meter);

/* Receives at most max_replies, and has those who got one send again. */
void pingpong_step(struct pingpong *pingpong, int max_replies, int timeout_ms);

/* The whole workload. */
void pingpong_run(const struct plan *plan, struct meter *meter);

#endif
