#ifndef LISTEN_INHERIT_H
#define LISTEN_INHERIT_H

#include "listen/listener.h"

/*
 * Sockets that outlive a process because the service manager holds them.  All
 * functions are for the main thread.
 */

/*
 * Appends to list an open listener made of a socket that the manager gave us as
 * name: stored by a process before this one, or passed by a socket unit.  fd is
 * not the caller's any more.  -1 with a message in error.
 */
int listener_inherit(int fd, const char *name, struct listener_list *list,
    char error[LISTENER_ERROR_MAX]);

/*
 * Has the manager keep the socket over restarts, or not any more.  Does nothing
 * for a passed socket, or where the manager keeps none.
 */
void listener_store(struct listener *listener);
void listener_unstore(struct listener *listener);
bool listener_is_stored(const struct listener *listener);

#endif
