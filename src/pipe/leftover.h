#ifndef PIPE_LEFTOVER_H
#define PIPE_LEFTOVER_H

#include <stdbool.h>

#include "pipe/output.h"
#include "pipe/window.h"

/* The lines that are left when the client ends. */

/*
 * Releases the lines whose replies were written, up to position answered,
 * though some behind them were not; a spool remembers an output that ends
 * inside a line.
 */
void leftover_settle(struct window *window, uint64_t answered,
    const struct output *output);

/* Whether there are lines in the window, or is more input to read now. */
bool leftover_any(const struct window *window);

/*
 * Says how many lines are left, if any, and where, and whether the input has
 * more.  stopped: a signal ended the input.
 */
void leftover_say(const struct window *window, bool stopped);

#endif
