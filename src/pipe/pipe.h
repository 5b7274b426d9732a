#ifndef PIPE_PIPE_H
#define PIPE_PIPE_H

#include "timestampc/options.h"

/*
 * Sends the lines of standard input and writes their replies to standard
 * output, each once and in order, over as many connections as it takes.
 * Returns the exit status.
 */
int pipe_run(const struct client_options *options);

#endif
