#ifndef CROWD_H
#define CROWD_H

#include <stddef.h>

#include "dialogue.h"
#include "plan.h"

struct slow;

/*
 * Clients that are a nuisance: plan->connections of them say one line of one
 * byte a second each, and plan->deaf never read, having sent more than all the
 * buffers on the way back hold.
 */
struct crowd {
	struct dialogue dialogue; /* of a slow one */
	struct slow *slow;        /* count, as they are due */
	size_t count, next;
};

/* Opens all; what fails ends the program. */
void crowd_open(struct crowd *crowd, const struct plan *plan);

/*
 * Lets the next slow one speak if it is due, having checked the reply to what
 * it said a second ago.  No more than one: a step takes two system calls.
 */
void crowd_step(struct crowd *crowd);

#endif
