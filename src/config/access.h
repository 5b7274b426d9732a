#ifndef CONFIG_ACCESS_H
#define CONFIG_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/prefix_table.h"

/*
 * Which clients are served: the lists for all listeners, or those of a listener
 * together with them.  It never changes; any thread may use it, and whoever
 * holds it releases it.  NULL: everyone is served.
 */
struct access;

/*
 * Of sorted entries, no prefix twice; a value of true allows.  A listener's
 * lists have those for all in common, which it holds; others have NULL.  NULL:
 * out of memory.
 */
struct access *access_new(const struct prefix_entry *entries, size_t count,
    struct access *common);

/* Returns access, which is to be released once more. */
struct access *access_hold(struct access *access);
void access_release(struct access *access);

/*
 * Whether a client is served.  Of all entries that apply the longest prefix
 * that holds it decides, of two that are as long the listener's.  The allowed
 * ones for all do not apply where the listener allows some itself.  A client
 * that none holds is served unless some are allowed; a Unix client always is.
 */
bool access_allows(const struct access *access, const struct sockaddr *client);

#endif
