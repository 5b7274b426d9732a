#ifndef LATENCY_H
#define LATENCY_H

#include "meter.h"
#include "plan.h"

/*
 * The round trips of one client: alone, beside streams of lines at full speed,
 * or beside a crowd of slow senders and of clients that never read.
 *
 * All is one thread, so that no scheduler comes between the client and the
 * clock: it looks for the reply between any two steps of its neighbour.
 */
void latency_alone_run(const struct plan *plan, struct meter *meter);
void latency_stream_run(const struct plan *plan, struct meter *meter);
void latency_crowd_run(const struct plan *plan, struct meter *meter);

#endif
