#ifndef SERVER_RELOAD_H
#define SERVER_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "config/config.h"

struct server;

/*
 * Reads the configuration anew.  If it is good, and all its listeners can be
 * opened, the server uses it from now on; else nothing changes.  Logs which,
 * and returns 0, or EX_CONFIG, EX_OSERR (out of memory; or some threads keep
 * their old settings, as the text says) or EX_TEMPFAIL (the server stops) with
 * a line for each fault in text of size bytes, at least 64.
 */
int reload_run(struct server *server, char *text, size_t size);

/* Replaces the server's configuration by config, which it takes over. */
void reload_use(struct server *server, struct config *config);

/* Raises the soft limit of open files to the hard one, and returns it. */
rlim_t reload_raise_file_limit(void);

/*
 * Sets how many connections may be open: as many as that limit allows beside
 * the listeners, at most max_connections.  Warns when these are too many.
 */
void reload_fit_connections(struct server *server);

/*
 * Whether the next process can load the configuration, without which it would
 * end at once; logs why not.  A user that stays is not looked up.
 */
bool reload_can_load(struct server *server);

#endif
