#ifndef POOL_H
#define POOL_H

#include "config.h"
#include "conn.h"
#include "counters.h"
#include "slots.h"
#include "worker.h"

/*
 * All workers, and the slots that they and the acceptor share.  Every function
 * is for the main thread only.
 */
struct pool {
	struct worker **workers;
	int count, running;
	int done_fd; /* readable when a worker is about to end */
	struct slots slots;
};

/* None: pool_join does nothing to it. */
#define POOL_INITIALIZER                                                       \
	{                                                                      \
		.done_fd = -1, .slots = {.room_fd = -1 }                       \
	}

/*
 * Starts as many workers as config says, for at most max_connections.  -1 with
 * errno, and nothing left running.
 */
int pool_start(struct pool *pool, const struct config *config,
    int max_connections);

/* How many workers config asks for. */
int pool_size(const struct config *config);

/* Hands conn to the worker that has the fewest. */
void pool_give(struct pool *pool, struct conn *conn);

/* New settings for all workers; -1 with errno where one keeps the old. */
int pool_set(struct pool *pool, const struct config *config);

void pool_order(struct pool *pool, enum worker_order order);

/* As worker_ping and worker_turns, of all. */
void pool_ping(struct pool *pool);
bool pool_turns(const struct pool *pool);

/* Takes note of workers that ended; call it when done_fd is readable. */
void pool_note_done(struct pool *pool);

void pool_count(const struct pool *pool, struct counters *sum);

/*
 * Joins the workers, which have been ordered to end, and frees all but the
 * connections that they set aside: those are added to left, and all counters to
 * sum.
 */
void pool_join(struct pool *pool, struct counters *sum, struct conn_list *left);

#endif
