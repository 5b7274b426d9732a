#ifndef MANAGER_H
#define MANAGER_H

#include <stddef.h>

#include "daemon.h"

/*
 * A service manager: receives notify messages, stores file descriptors and
 * passes them to the next daemon.  There is one in each test's process.  The
 * tests in tests/systemd use the real one.
 */

/* Opens it for the daemons to come; size: of its store, in descriptors. */
void manager_open(size_t size);

/* Waits for a message that begins with start, after the last such one. */
void manager_await(const char *start);

/* Waits until it stores count descriptors whose names begin with start. */
void manager_await_kept(const char *start, size_t count);

/* A duplicate of the first descriptor whose name begins with start. */
int manager_fd(const char *start);

/* Stores fd for the daemons to come, as a socket unit does; takes it over. */
void manager_pass(int fd, const char *name);

/* Closes the stored descriptors whose names begin with start. */
void manager_drop(const char *start);

/* Starts daemon with config and all stored descriptors. */
void manager_start(struct daemon *daemon, const char *config);

/* Runs daemon with all of them, and asserts that it ends with status. */
void manager_run(struct daemon *daemon, const char *const *arguments,
    int status);

/* Makes daemon hand over and asserts that it ends with status 0. */
void manager_end(struct daemon *daemon);

#endif
