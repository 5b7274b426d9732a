#ifndef FDSTORE_H
#define FDSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* What connections are kept as, and the file with their states. */
#define FDSTORE_CONN ".conn"
#define FDSTORE_STATE ".state"

/*
 * File descriptors that the service manager passes when it starts us, and those
 * that it keeps for us over a restart.  Every function is for the main thread.
 */
struct fdstore_fd {
	int fd; /* -1: taken */
	char *name;
};

/*
 * What was passed, for the caller to take the descriptors out of; those still
 * in it are closed by fdstore_free.  *count is 0 where there are none.  NULL
 * with errno when memory ran out or the manager contradicts itself.
 */
struct fdstore_fd *fdstore_receive(size_t *count);
void fdstore_free(struct fdstore_fd *fds, size_t count);

/* Whether it is a connection, or their states, instead of a listener. */
bool fdstore_is_connection(const struct fdstore_fd *fd);

/* How many the manager would keep; 0 in a process that it did not start. */
size_t fdstore_size(void);

/*
 * Has the manager keep duplicates of fds under name; they are closed when no one
 * needs the service any more.  Returns how many of them, from the first, were
 * sent to it.
 */
size_t fdstore_put(const char *name, const int *fds, size_t count);

/* Has the manager close what it keeps under name. */
void fdstore_remove(const char *name);

/* Waits until the manager has done all that; -1 when it does not say so. */
int fdstore_sync(void);

#endif
