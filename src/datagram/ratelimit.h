#ifndef DATAGRAM_RATELIMIT_H
#define DATAGRAM_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_SETS 1024
#define RATELIMIT_WAYS 4
#define RATELIMIT_LEAK 16 /* one reply in so many passes an empty bucket */

/*
 * Token buckets by source network, as many as fit: the least recently used of a
 * set gives way.  Owned by one thread.
 */
struct ratelimit {
	uint32_t rate,
	    burst;       /* replies a second, replies at once; rate 0: none */
	uint64_t key[2]; /* where a network hashes to is no one's to know */
	uint64_t random;
	struct bucket {
		uint64_t network;
		uint32_t millitokens;
		uint32_t last_ms; /* 0: never used */
	} buckets[RATELIMIT_SETS][RATELIMIT_WAYS];
};

/* All buckets are full afterwards.  seed is random. */
void ratelimit_init(struct ratelimit *limit, const uint64_t seed[3]);

/* What the buckets hold is kept, up to the new burst. */
void ratelimit_set(struct ratelimit *limit, int rate, int burst);

/*
 * Whether network may have a reply now; takes a token for it.  An empty bucket
 * says yes at random now and then, so that who sends in the name of a victim
 * can't silence the victim wholly.
 */
bool ratelimit_allow(struct ratelimit *limit, uint64_t network,
    uint64_t now_ms);

#endif
