#ifndef SERVER_WATCHDOG_H
#define SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "listen/listener_set.h"
#include "stream/worker_pool.h"

/*
 * Tells the service manager from time to time that every thread is responsive,
 * and figures for people.  A thread is responsive if it has answered the ping of
 * the last beat.  The main thread calls all functions.
 */
struct watchdog {
	struct worker_pool *pool;
	struct listener_set *listeners;
	uint64_t period_ms, next_ms; /* UINT64_MAX: no manager to tell */
	bool watched; /* the manager restarts a server that falls silent */
	int missed;   /* beats in a row at which one was not responsive */
	uint64_t status_ms, messages; /* of the last figures */
	char status[128];
};

void watchdog_start(struct watchdog *watchdog, struct worker_pool *pool,
    struct listener_set *listeners, uint64_t now_ms);

/* Does nothing before it is due.  total adds all counters to sum. */
void watchdog_beat(struct watchdog *watchdog, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context);

#endif
