#ifndef IDLE_H
#define IDLE_H

#include "meter.h"
#include "plan.h"

/*
 * Connections that have had one message answered and say no more: the server's
 * private memory for each, and the CPU time that it takes meanwhile.
 */
void idle_run(const struct plan *plan, struct meter *meter);

#endif
