#ifndef STREAM_WORKER_THREAD_H
#define STREAM_WORKER_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "stream/client_log.h"
#include "stream/conn.h"
#include "stream/roster.h"
#include "stream/worker.h"

/* What a worker is.  Only it and worker.c, for the main thread, know. */
struct worker {
	/* Both threads. */
	_Atomic(struct conn *) dispatched; /* a stack, newest first */
	_Atomic(struct worker_settings *) next_settings;
	_Atomic int order;
	_Atomic int load;
	_Atomic bool pinged; /* the loop has not run since */
	_Atomic bool ended;
	_Atomic bool
	    asked; /* for oldest, which is the worker's till it answers */
	struct worker_oldest oldest;
	_Atomic uint64_t burden; /* of whom to close first; see roster.h */
	int wake_fd;             /* eventfd */
	struct worker_shared *shared;
	struct counters counters; /* the worker adds, all read */

	/* The main thread. */
	pthread_t thread;

	/* The worker. */
	int number, epoll_fd;
	int turn_order; /* the order at the start of this turn of the loop */
	struct worker_settings settings;
	uint64_t idle_ms;     /* the shortest of all profiles; 0: none */
	uint64_t patience_ms; /* when the patient may be looked at again */
	struct roster roster;
	struct client_log log;
	struct conn_list handed_over;
	struct conn_io io;
};

/* The thread: arg is its worker. */
void *worker_run(void *arg);

#endif
