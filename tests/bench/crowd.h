#ifndef CROWD_H
#define CROWD_H

#include <stddef.h>

#include "dialogue.h"
#include "plan.h"

struct slow;

/*
 * Clients that make work: plan->connections of them send an empty line once a
 * second each; plan->deaf never read, and have sent so much that the replies
 * exceed all buffers on the path.
 */
struct crowd {
	struct dialogue dialogue; /* of a slow one */
	struct slow *slow;        /* count of them, in the order they are due */
	size_t count, next;
};

/* Opens all connections; a failure ends the program. */
void crowd_open(struct crowd *crowd, const struct plan *plan);

/*
 * If the next slow client is due, checks the reply to its last line and sends
 * another one.  Serves one client at most: a step takes two system calls.
 */
void crowd_step(struct crowd *crowd);

#endif
