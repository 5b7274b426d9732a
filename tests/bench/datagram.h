#ifndef DATAGRAM_H
#define DATAGRAM_H

#include "meter.h"
#include "plan.h"

/*
 * Datagrams from one socket, plan->window of them on their way at once.  If no
 * reply comes for DATAGRAM_PATIENCE_US those on their way count as lost, and
 * others are sent.
 */
void datagram_run(const struct plan *plan, struct meter *meter);

/* How long a receive waits for a reply. */
#define DATAGRAM_PATIENCE_US 50000

#endif
