#ifndef SERVER_WATCHDOG_H
#define SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "listen/listener_set.h"
#include "stream/worker_pool.h"

/*
 * Tells the service manager from time to time how things stand: figures for
 * people, and that every thread turns, which each has to prove first.  The main
 * thread.
 */
struct watchdog {
	struct worker_pool *pool;
	struct listener_set *roster;
	uint64_t period_ms; /* 0: no one listens */
	uint64_t next_ms;
	bool watched; /* the manager wants to hear that all threads turn */
	int missed;   /* beats in a row at which one did not */
	uint64_t status_ms, messages; /* of the last figures */
	char status[128];
};

void watchdog_start(struct watchdog *pulse, struct worker_pool *pool,
    struct listener_set *roster, uint64_t now_ms);

/* Until watchdog_beat is to be called; -1: never. */
int watchdog_wait_ms(const struct watchdog *pulse, uint64_t now_ms);

/* Does nothing before its time.  total fills in the sum of all counters. */
void watchdog_beat(struct watchdog *pulse, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context);

#endif
