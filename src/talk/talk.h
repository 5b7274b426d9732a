#ifndef TALK_TALK_H
#define TALK_TALK_H

#include "timestampc/options.h"

/*
 * Reads lines from the terminal, with a prompt, and prints the reply of each,
 * until an empty line or the end of the input.  Returns the exit status.
 */
int talk_run(const struct client_options *options);

/* Sends options->text and prints its reply.  Returns the exit status. */
int talk_once(const struct client_options *options);

#endif
