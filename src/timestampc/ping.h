#ifndef TIMESTAMPC_PING_H
#define TIMESTAMPC_PING_H

#include "timestampc/options.h"

/*
 * Measures round trips to options->target and the offset of its clock.  Returns
 * the exit status.
 */
int ping_run(const struct client_options *options);

#endif
