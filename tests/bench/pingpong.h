#ifndef PINGPONG_H
#define PINGPONG_H

#include "meter.h"
#include "plan.h"

/*
 * Many connections, each with one message on its way at any time.  With many
 * connections the percentiles show how evenly the server serves them.
 */
void pingpong_run(const struct plan *plan, struct meter *meter);

#endif
