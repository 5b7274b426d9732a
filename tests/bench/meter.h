#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "plan.h"

/*
 * Counts what a run does after its warm-up, and the CPU time that the server
 * uses for it.  The workload adds to the counts and asks whether to go on.
 */
struct meter {
	pid_t server;
	uint64_t
	    next_ns; /* CLOCK_MONOTONIC: the end of warm-up, or of the run */
	uint64_t run_ns;
	bool running; /* the warm-up is over */
	uint64_t begin_ns, begin_cpu_ns, begin_own_ns;
	uint64_t wall_ns, cpu_ns, own_ns;
	uint64_t messages, bytes, lost; /* answered; received */
	struct histogram latency;
	int64_t private_bytes; /* for each connection; -1: not measured */
	/*
	 * With a crowd: the server's total private memory, that of all TCP
	 * sockets of the host, and the server's CPU time for the crowd alone in
	 * one second.  0: not measured.
	 */
	uint64_t crowd_bytes, crowd_kernel_bytes, crowd_cpu_ns;
};

uint64_t meter_now_ns(void);

/* The warm-up begins. */
void meter_start(struct meter *meter, const struct plan *plan);

/* Returns false if the time is over. */
bool meter_goes_on(struct meter *meter);

/* Until the warm-up or the run ends, rounded up. */
int meter_left_ms(const struct meter *meter);

/* Writes the results as one line of JSON to standard output. */
void meter_print(const struct meter *meter);

#endif
