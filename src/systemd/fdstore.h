#ifndef SYSTEMD_FDSTORE_H
#define SYSTEMD_FDSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* The name of stored connections; all other sockets are listeners. */
#define FDSTORE_CONNECTIONS ".connections"

/*
 * File descriptors that the service manager passes when it starts this process,
 * and those that it keeps over a restart.  The main thread calls all functions.
 */
struct fdstore_fd {
	int fd; /* -1: taken */
	char *name;
};

/*
 * All that was passed.  The caller takes descriptors by setting fd to -1;
 * fdstore_free closes the others.  *count is 0 if nothing was passed.  NULL
 * with errno when memory runs out or the manager contradicts itself.
 */
struct fdstore_fd *fdstore_receive(size_t *count);
void fdstore_free(struct fdstore_fd *fds, size_t count);

/* The most descriptors the manager keeps, as $FDSTORE says; 0: no manager. */
size_t fdstore_capacity(void);

/*
 * Whether the manager really keeps count more: FDSTORE= may say more than the
 * unit's FileDescriptorStoreMax=.  True also when that can't be found out.
 */
bool fdstore_has_room(size_t count);

/*
 * Has the manager keep a duplicate of fd under name until it is removed or the
 * service stops; a full store closes it silently.  -1 with errno: not sent.
 */
int fdstore_put(const char *name, int fd);

/*
 * Puts one end of a new socket pair (SOCK_SEQPACKET, non-blocking) and returns
 * the other, which hangs up when the manager closes its end; -1 with errno.
 */
int fdstore_put_pair(const char *name);

/* Has the manager close what it keeps under name. */
void fdstore_remove(const char *name);

/* Waits until the manager has carried all that out; -1 if it doesn't say so. */
int fdstore_sync(void);

#endif
