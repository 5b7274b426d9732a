#ifndef IDLE_H
#define IDLE_H

#include "meter.h"
#include "plan.h"

/*
 * Connections that had one message answered and are silent: measures the
 * server's private memory for each, and the CPU time that it uses.
 */
void idle_run(const struct plan *plan, struct meter *meter);

#endif
