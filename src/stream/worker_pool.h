#ifndef STREAM_WORKER_POOL_H
#define STREAM_WORKER_POOL_H

#include "base/counters.h"
#include "config/config.h"
#include "stream/conn.h"
#include "stream/slots.h"
#include "stream/worker.h"

/*
 * All workers, and the slots that they and the acceptor share.  Every function
 * is for the main thread only.
 */
struct worker_pool {
	struct worker **workers;
	int count, running;
	int done_fd; /* readable when a worker is about to end */
	struct slots slots;
};

/* None: worker_pool_join does nothing to it. */
#define WORKER_POOL_INITIALIZER                                                \
	{                                                                      \
		.done_fd = -1, .slots = {.room_fd = -1 }                       \
	}

/*
 * Starts as many workers as config says, for at most max_connections.  -1 with
 * errno, and nothing left running.
 */
int worker_pool_start(struct worker_pool *pool, const struct config *config,
    int max_connections);

/* How many workers config asks for. */
int worker_pool_size(const struct config *config);

/* Hands conn to the worker that has the fewest. */
void worker_pool_dispatch(struct worker_pool *pool, struct conn *conn);

/* New settings for all workers; -1 with errno where one keeps the old. */
int worker_pool_set(struct worker_pool *pool, const struct config *config);

void worker_pool_order(struct worker_pool *pool, enum worker_order order);

/* As worker_ping and worker_is_responsive, of all. */
void worker_pool_ping(struct worker_pool *pool);
bool worker_pool_is_responsive(const struct worker_pool *pool);

/* Takes note of workers that ended; call it when done_fd is readable. */
void worker_pool_note_done(struct worker_pool *pool);

void worker_pool_count(const struct worker_pool *pool, struct counters *sum);

/*
 * Joins the workers, which have been ordered to end, and frees all but the
 * connections that they set aside: those are added to left, and all counters to
 * sum.
 */
void worker_pool_join(struct worker_pool *pool, struct counters *sum,
    struct conn_list *left);

#endif
