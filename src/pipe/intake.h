#ifndef PIPE_INTAKE_H
#define PIPE_INTAKE_H

#include <stdint.h>
#include <sys/types.h>

#include "lines/account.h"
#include "pipe/window.h"
#include "timestampc/options.h"

/*
 * Brings lines into the window and the account: from the input, and at the
 * start from a spool.  Times are of clock_ms().
 */

/*
 * Opens the window, and makes the account of what is in it.  Returns 0, or an
 * exit status after a message.  options must outlive window.
 */
int intake_open(struct window *window, struct account *account,
    const struct client_options *options, uint64_t now_ms);

/* How much may be read. */
size_t intake_room(const struct window *window, const struct account *account);

/* Reads at most so many bytes, if there is room.  As read(2). */
ssize_t intake_read(struct window *window, struct account *account, size_t most,
    uint64_t now_ms);

/* Makes room for the rest of a line that fills the window.  -1 with errno. */
int intake_make_room(struct window *window, const struct account *account);

#endif
