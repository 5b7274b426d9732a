#ifndef FIXTURE_H
#define FIXTURE_H

#include "listen/listener.h"

#define NO_DEADLINE UINT64_MAX

/* The message of what failed last. */
extern char error[LISTENER_ERROR_MAX];

/* A listener as configured at file:3; address may be a path. */
struct listener_config configured(enum protocol protocol, const char *address,
    int port);

/* The same, resolved to one listener, and open too. */
struct listener *resolve_one(enum protocol protocol, const char *address,
    int port);
struct listener *open_one(enum protocol protocol, const char *address,
    int port);

/* A client's socket, connected or on its way; -1: refused. */
int connect_to(const struct listener *listener);

#endif
