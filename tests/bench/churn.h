#ifndef CHURN_H
#define CHURN_H

#include "meter.h"
#include "plan.h"

/*
 * Connections for one message each: connect, send, receive, close.  As many as
 * plan->window are open at once; the oldest is received from first.
 */
void churn_run(const struct plan *plan, struct meter *meter);

#endif
