#ifndef MANAGER_H
#define MANAGER_H

#include <stddef.h>

#include "daemon.h"

/*
 * What a service manager is to the server: it hears messages, keeps file
 * descriptors and passes them to the next process.  The real one is in
 * tests/systemd.  There is one in a test's process.
 */

/* From now on daemons have a manager that keeps up to size descriptors. */
void manager_open(size_t size);

/* Waits for a message that begins so, after the last one waited for. */
void manager_await(const char *start);

/* Waits until count descriptors are kept whose names begin so. */
void manager_await_kept(const char *start, size_t count);

/* A duplicate of the first of them. */
int manager_fd(const char *start);

/* Keeps fd for the daemons to come, as a socket unit does. */
void manager_pass(int fd, const char *name);

/* Forgets what is kept under names that begin so. */
void manager_drop(const char *start);

/* Starts daemon with the configuration and all that is kept. */
void manager_start(struct daemon *daemon, const char *config);

/* Runs daemon with all that is kept, and asserts that it ends with status. */
void manager_run(struct daemon *daemon, const char *const *arguments,
    int status);

/* Has daemon end for another to go on, and asserts that it ends well. */
void manager_end(struct daemon *daemon);

#endif
