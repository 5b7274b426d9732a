#ifndef CONFIG_PROFILE_H
#define CONFIG_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "stamp/stamp.h"

/* What applies to the connections of a listener. */
struct profile {
	uint64_t idle_ms[2]; /* by their framing; 0: never */
	size_t stamp;        /* number of their stamp */
};

/*
 * The profiles of all listeners by their number, with a stamp for each format
 * and time zone.  Number 0 is of connections that no listener has.  One thread
 * owns it.
 */
struct profiles {
	size_t count, stamp_count;
	struct profile *rows;
	struct stamp *stamps;
};

/*
 * Of count listeners, as config has it where a listener has nothing of its own.
 * -1 with errno, and nothing is to be freed.  The main thread.
 */
int profiles_init(struct profiles *profiles, size_t count,
    const struct config *config);

/* Sets one to that of a listener.  -1 with errno.  The main thread. */
int profiles_set(struct profiles *profiles, size_t number,
    const struct config *config, const struct listener_config *listener);

/* -1 with errno, and copy has nothing that is to be freed. */
int profiles_copy(struct profiles *copy, const struct profiles *profiles);

void profiles_free(struct profiles *profiles);

#endif
