#ifndef LATENCY_H
#define LATENCY_H

#include "meter.h"
#include "plan.h"

/*
 * The round trips of one client: alone, beside streams of lines at full speed,
 * or beside a crowd of slow senders and of clients that never read.
 *
 * One thread runs the client and its neighbour and polls for the reply after
 * each step of the neighbour, so the scheduler does not distort the latency.
 */
void latency_alone_run(const struct plan *plan, struct meter *meter);
void latency_stream_run(const struct plan *plan, struct meter *meter);
void latency_crowd_run(const struct plan *plan, struct meter *meter);

#endif
