#ifndef STREAM_BUDGET_H
#define STREAM_BUDGET_H

#include <stdbool.h>

/*
 * kept_memory: what the connections of all workers may hold together.
 * A worker calls these for itself, in its own thread.
 */

struct worker;

/* False in a stop, which has a limit in time and needs none of memory. */
bool budget_is_exceeded(const struct worker *worker);

/* Warns, at most once a minute for all workers. */
void budget_warn(struct worker *worker);

/* The worker that has the connection to close first, maybe worker itself. */
struct worker *budget_first(struct worker *worker);

/*
 * Gives the kernel what was freed, at most once a second: the allocator would
 * keep it between other pieces.
 */
void budget_trim(struct worker *worker);

#endif
