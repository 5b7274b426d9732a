#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "meter.h"
#include "plan.h"

/*
 * Sends SEGMENTS datagrams with each call, by UDP_SEGMENT, and receives the
 * replies with UDP_GRO, together or one by one as the server sends them.
 */
void segments_run(const struct plan *plan, struct meter *meter);

#define SEGMENTS 32

#endif
