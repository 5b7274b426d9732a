#ifndef STREAM_WORKER_POOL_H
#define STREAM_WORKER_POOL_H

#include <stdbool.h>

#include "base/counters.h"
#include "config/config.h"
#include "config/profile.h"
#include "stream/conn.h"
#include "stream/worker.h"

/*
 * All workers, and how many connections may be open at once.  All zero: there
 * are none.  Every function is for the main thread only.
 */
struct worker_pool {
	struct worker **workers;
	int count, running;
	int max_connections;
	bool asks_oldest;
	struct worker_shared shared; /* room_fd and done_fd are to be watched */
};

/* How many workers config asks for. */
int worker_pool_size(const struct config *config);

/* Starts them.  -1 with errno, and none runs. */
int worker_pool_start(struct worker_pool *pool, const struct config *config,
    int max_connections);

/* How many connections are open. */
int worker_pool_connections(const struct worker_pool *pool);

/*
 * Whether fewer connections than the maximum are open.  False: shared.room_fd
 * becomes readable when one is closed.
 */
bool worker_pool_has_room(struct worker_pool *pool);

/* To be called when shared.room_fd is readable. */
void worker_pool_note_room(struct worker_pool *pool);

/* Sets the maximum, and makes shared.room_fd readable. */
void worker_pool_set_max(struct worker_pool *pool, int max_connections);

/* To the worker that has the fewest connections, room or not. */
void worker_pool_dispatch(struct worker_pool *pool, struct conn *conn);

/* New settings for all; -1 with errno: a worker keeps its old ones. */
int worker_pool_configure(struct worker_pool *pool, const struct config *config,
    const struct profiles *profiles);

/* As those of a worker, for all. */
void worker_pool_order(struct worker_pool *pool, enum worker_order order);

/* Pings all; whether all have answered the ping before. */
bool worker_pool_ping(struct worker_pool *pool);

/*
 * Asks for the connection that has been open longest, and takes the answer:
 * true, once, when all workers have answered.
 */
void worker_pool_ask_oldest(struct worker_pool *pool);
bool worker_pool_take_oldest(struct worker_pool *pool,
    struct worker_oldest *oldest);

/* Counts ended workers; to be called when shared.done_fd is readable. */
void worker_pool_note_done(struct worker_pool *pool);

/*
 * Waits until the workers, which have been ordered to end, have done so.
 * False: when clock_ms() reaches deadline_ms one has not; the log names it.
 */
bool worker_pool_await_end(struct worker_pool *pool, uint64_t deadline_ms);

void worker_pool_add_counters(const struct worker_pool *pool,
    struct counters *sum);

/* As worker_join, for all, which have been ordered to end. */
void worker_pool_join(struct worker_pool *pool, struct counters *sum,
    struct conn_list *handed_over);

#endif
