#ifndef PULSE_H
#define PULSE_H

#include <stdbool.h>
#include <stdint.h>

#include "counters.h"
#include "pool.h"
#include "roster.h"

/*
 * Tells the service manager from time to time how things stand: figures for
 * people, and that every thread turns, which each has to prove first.  The main
 * thread.
 */
struct pulse {
	struct pool *pool;
	struct roster *roster;
	uint64_t period_ms; /* 0: no one listens */
	uint64_t next_ms;
	bool watched; /* the manager wants to hear that all threads turn */
	int missed;   /* beats in a row at which one did not */
	uint64_t status_ms, messages; /* of the last figures */
	char status[128];
};

void pulse_start(struct pulse *pulse, struct pool *pool, struct roster *roster,
    uint64_t now_ms);

/* Until pulse_beat is to be called; -1: never. */
int pulse_wait_ms(const struct pulse *pulse, uint64_t now_ms);

/* Does nothing before its time.  total fills in the sum of all counters. */
void pulse_beat(struct pulse *pulse, uint64_t now_ms,
    void (*total)(const void *context, struct counters *sum),
    const void *context);

#endif
