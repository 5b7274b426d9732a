#ifndef MANAGER_H
#define MANAGER_H

#include <stddef.h>

#include "daemon.h"

/*
 * A service manager: receives notify messages, stores file descriptors and
 * passes them to the next daemon.  Each test process has one.  The tests in
 * tests/systemd use the real one.
 */

/* Opens it for the next daemons; size: of its store, in descriptors. */
void manager_open(size_t size);

/* Waits for a message that begins with start, after the last one awaited. */
void manager_await(const char *start);

/* Waits until count stored descriptors have names that begin with start. */
void manager_await_kept(const char *start, size_t count);

/* Returns a duplicate of the first descriptor whose name begins with start. */
int manager_fd(const char *start);

/* Stores fd for the next daemons, as a socket unit does; becomes its owner. */
void manager_pass(int fd, const char *name);

/* Closes the stored descriptors whose names begin with start. */
void manager_drop(const char *start);

/*
 * Keeps no descriptor with this name any more after the daemon has withdrawn
 * one, which was a probe, and calls meanwhile for each, in another thread, while
 * the daemon waits for the answer.
 */
void manager_refuse(const char *name, void (*meanwhile)(void));

/* Starts daemon with config and all stored descriptors. */
void manager_start(struct daemon *daemon, const char *config);

/* Runs daemon with all of them and asserts that it ends with status. */
void manager_run(struct daemon *daemon, const char *const *arguments,
    int status);

/* Makes daemon hand over; then as daemon_finish. */
void manager_end(struct daemon *daemon);

#endif
