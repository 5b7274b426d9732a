#ifndef SYSTEMD_FDSTORE_H
#define SYSTEMD_FDSTORE_H

#include <stddef.h>

/* What connections are kept as; all other sockets are listeners. */
#define FDSTORE_CONNECTIONS ".connections"

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

/* How many the manager would keep; 0 in a process that it did not start. */
size_t fdstore_size(void);

/*
 * Has the manager keep a duplicate of fd under name until it is removed, or no
 * one needs the service any more.  -1 with errno when it can't be told so.
 */
int fdstore_put(const char *name, int fd);

/* Has the manager close what it keeps under name. */
void fdstore_remove(const char *name);

/* Waits until the manager has done all that; -1 when it does not say so. */
int fdstore_sync(void);

#endif
