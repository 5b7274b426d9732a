#ifndef CHURN_H
#define CHURN_H

#include "meter.h"
#include "plan.h"

/*
 * Connections that live for one message: connect, send, receive, close.  As
 * many as the window says are open at once, the oldest served first.
 */
void churn_run(const struct plan *plan, struct meter *meter);

#endif
