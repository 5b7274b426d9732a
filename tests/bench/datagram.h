#ifndef DATAGRAM_H
#define DATAGRAM_H

#include "meter.h"
#include "plan.h"

/*
 * Datagrams from one socket, as many on their way at once as the window says.
 * One that is lost is missed after a while, counted, and sent anew.
 */
void datagram_run(const struct plan *plan, struct meter *meter);

/* How long a receive waits before it takes what it waits for as lost. */
#define DATAGRAM_PATIENCE_US 50000

#endif
