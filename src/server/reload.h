#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include <stdbool.h>

#include "config/config.h"

struct server;

/*
 * Reads the configuration anew.  If it is good, and all its listeners can be
 * had, the server uses it from now on; else nothing changes.  Returns which, and
 * logs it.  *reasons, to be freed, says why not, a line for each fault; it is
 * NULL or empty when memory ran out.
 */
bool reload_run(struct server *server, char **reasons);

/* Replaces the server's configuration by config, which it takes over. */
void reload_use(struct server *server, struct config *config);

/* Raises the soft limit of open files to the hard one. */
void reload_raise_file_limit(void);

/*
 * Sets how many connections may be open: as many as that limit allows beside the
 * listeners, at most max_connections.  Warns when these are too many.
 */
void reload_fit_connections(struct server *server);

/*
 * Whether the next process can load the configuration, without which it would
 * end at once; logs why not.
 */
bool reload_can_load(const struct server *server);

#endif
