#ifndef STREAM_SOURCES_H
#define STREAM_SOURCES_H

#include <stdatomic.h>
#include <stdint.h>

#include "net/sockaddr.h"

/*
 * How many connections are open from each source: an IPv4 address, the /64 of
 * an IPv6 address (sockaddr_network).  There is an entry for each that has any,
 * and some of others, about one a chain at the most.  All zero: none.  The main
 * thread owns it; whoever frees a connection takes it off its count.
 */
struct sources {
	struct source **chains; /* by hash */
	uint64_t key[2];        /* random: clients can't choose a chain */
};

/*
 * The count of the source that peer belongs to; 0 for a new one, which is to be
 * counted before the next call.  NULL with errno: out of memory.
 */
_Atomic int *sources_find(struct sources *sources,
    const struct sockaddr_any *peer);

/* When no connection is open any more. */
void sources_free(struct sources *sources);

#endif
