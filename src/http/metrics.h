#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/counters.h"
#include "config/config.h"
#include "listen/listener.h"
#include "stream/worker_pool.h"

/* What metrics tell of a listener and its siblings. */
struct metrics_listener {
	enum protocol protocol;
	char address[LISTENER_NAME_MAX];
	uint64_t clients;                     /* accepted; of streams */
	uint64_t received, answered, dropped; /* datagrams */
};

/*
 * The figures of a moment.  The main thread takes them; whoever has a reference
 * may read them, in any thread.
 */
struct metrics {
	struct counters sum; /* of all threads */
	_Atomic int references;
	uint64_t taken_ms; /* CLOCK_MONOTONIC */
	uint64_t connections_max, kept, kept_max, workers;
	bool is_ready;
	size_t listener_count;
	struct metrics_listener listeners[];
};

/*
 * With one reference, sum being the counters of all threads; NULL: out of
 * memory.  The main thread.
 */
struct metrics *metrics_take(const struct counters *sum,
    const struct listener_list *list, const struct worker_pool *pool,
    const struct config *config);

/* Ends a reference; NULL is allowed. */
void metrics_release(struct metrics *metrics);

/*
 * Writes all families to out, with figures of the process at this moment;
 * started_ns: when it began, CLOCK_REALTIME.
 */
void metrics_write(const struct metrics *metrics, uint64_t started_ns,
    FILE *out, bool is_open_metrics);

#endif
