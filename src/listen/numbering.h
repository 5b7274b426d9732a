#ifndef LISTEN_NUMBERING_H
#define LISTEN_NUMBERING_H

#include <stdint.h>

#include "config/config.h"
#include "config/profile.h"
#include "listen/listener.h"
#include "stream/worker_pool.h"

/*
 * The numbers by which connections know the profile of their listener.  The
 * main thread.
 */

/*
 * One that no listener has.  Connections may outlive their listener, so a
 * number is given again only after all others; *last is the one given last.
 */
uint16_t numbering_choose(const struct listener_list *list, uint16_t *last);

/*
 * Gives the workers the settings of config with a profile for each listener;
 * these replace *profiles.  -1 with errno: some keep their old ones.
 */
int numbering_configure(const struct listener_list *list,
    struct worker_pool *pool, const struct config *config,
    struct profiles *profiles);

#endif
