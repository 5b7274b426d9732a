#ifndef LISTEN_BIND_H
#define LISTEN_BIND_H

#include "listen/listener.h"

/*
 * Makes the socket, binds it and lets clients connect: LISTENER_OPEN.  The
 * address is shared with beside, an open listener: a sibling, or one that
 * drains; NULL: no other socket may have it.  -1 with errno and a message in
 * error.  The main thread.
 */
int listener_open(struct listener *listener, const struct listener *beside,
    char error[LISTENER_ERROR_MAX]);

#endif
