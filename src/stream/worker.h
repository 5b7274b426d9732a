#ifndef STREAM_WORKER_H
#define STREAM_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "stamp/stamp.h"
#include "stream/conn.h"
#include "stream/slots.h"

/*
 * A thread that serves the connections handed to it, each in turn.  Workers
 * share nothing with one another.
 */
struct worker;

struct worker_settings {
	struct stamp_format stamp;
	bool arrival;              /* stamps tell when data arrived */
	uint64_t idle_ms, send_ms; /* 0: never */
};

/* How far the server has come with its stop; only ever goes up. */
enum worker_order {
	WORKER_RUN,
	WORKER_DRAIN,     /* close what is quiet; more may be handed over */
	WORKER_FINISH,    /* no more will be: end when all are closed */
	WORKER_HAND_OVER, /* the same, but set aside what may go on elsewhere */
	WORKER_ABORT,     /* close all, end */
};

/*
 * Starts worker number.  slots gets back a slot for each connection closed;
 * done_fd, an eventfd, is written to when the thread is about to end.  NULL
 * with errno.  This and all that follow are for the main thread only.
 */
struct worker *worker_start(int number, const struct worker_settings *settings,
    struct slots *slots, int done_fd);

/* The hand-over: conn belongs to the worker from here on, come what may. */
void worker_dispatch(struct worker *worker, struct conn *conn);

/* Connections handed over and not closed yet. */
int worker_load(const struct worker *worker);

/* New settings, from the next event on; -1 with errno: out of memory. */
int worker_set(struct worker *worker, const struct worker_settings *settings);

/* An order below one given before is none. */
void worker_order(struct worker *worker, enum worker_order order);

/*
 * Asks the thread for a sign that its loop turns, and whether it gave it.  One
 * that has ended as ordered has nothing to prove.
 */
void worker_ping(struct worker *worker);
bool worker_is_responsive(const struct worker *worker);

const struct counters *worker_counters(const struct worker *worker);

/*
 * Waits for the end of the thread, adds its counters to sum and what it set
 * aside to left, and frees the worker.
 */
void worker_join(struct worker *worker, struct counters *sum,
    struct conn_list *left);

#endif
