#ifndef DATAGRAM_RATELIMIT_H
#define DATAGRAM_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_SETS 1024
#define RATELIMIT_WAYS 4
#define RATELIMIT_LEAK 16 /* one reply in so many passes an empty bucket */

/*
 * Token buckets by source network.  A new network takes the bucket that was not
 * used for the longest time in its set.  Owned by one thread.
 */
struct ratelimit {
	uint32_t rate;   /* replies a second; 0: no limit */
	uint32_t burst;  /* replies at once */
	uint64_t key[2]; /* secret: no client can choose its set */
	uint64_t random;
	struct bucket {
		uint64_t network;
		uint32_t millitokens;
		uint32_t last_ms; /* 0: never used */
	} buckets[RATELIMIT_SETS][RATELIMIT_WAYS];
};

/* All buckets are full afterwards.  seed is random. */
void ratelimit_init(struct ratelimit *limit, const uint64_t seed[3]);

/* The buckets keep their tokens, up to the new burst. */
void ratelimit_configure(struct ratelimit *limit, int rate, int burst);

/*
 * Whether network may have a reply now; takes a token for it.  An empty bucket
 * allows one now and then, at random: otherwise a sender that forges a victim's
 * address could keep every reply from the victim.
 */
bool ratelimit_allow(struct ratelimit *limit, uint64_t network,
    uint64_t now_ms);

#endif
