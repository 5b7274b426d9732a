#ifndef BURST_H
#define BURST_H

#include "meter.h"
#include "plan.h"

/*
 * Bursts of BURST_LEN datagrams, each burst one call with UDP_SEGMENT; replies
 * are received with UDP_GRO, together or one by one as the server sends them.
 */
void burst_run(const struct plan *plan, struct meter *meter);

#define BURST_LEN 32

#endif
