#ifndef STREAM_SOURCES_H
#define STREAM_SOURCES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/sockaddr.h"

/*
 * How many connections are open from each source: an IPv4 address, the /64 of
 * an IPv6 address (sockaddr_network).  There is an entry for each that has any,
 * and some of others, about one a chain at the most.  All zero: none.  Any
 * thread may count; whoever frees a connection takes it off its count.
 */
struct sources {
	struct source **chains;     /* by hash */
	uint64_t key[2];            /* random: clients can't choose a chain */
	pthread_mutex_t lock;       /* of the chains */
	_Atomic uint64_t warned_ms; /* that there are too many; 0: never */
	_Atomic uint64_t header_warned_ms; /* that none named them; 0: never */
};

/*
 * Counts one more for the source of peer.  *count is what to take it off again,
 * or NULL: loopback and Unix clients, and any without memory for a count, count
 * for none.  False: max, which is not 0, are open already.
 */
bool sources_take(struct sources *sources, const struct sockaddr_any *peer,
    int max, _Atomic int **count);

/* Logs that max are open from an address, at most once a minute. */
void sources_warn(struct sources *sources, int max);

/* When no connection is open any more. */
void sources_free(struct sources *sources);

#endif
