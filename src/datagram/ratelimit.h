#ifndef DATAGRAM_RATELIMIT_H
#define DATAGRAM_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define RATELIMIT_SETS 512
#define RATELIMIT_WAYS 8
#define RATELIMIT_LEAK 16       /* an empty bucket lets one in so many pass, */
#define RATELIMIT_LEAK_SHARE 4U /* but a second only rate / LEAK_SHARE */

/*
 * Token buckets by source network.  A full bucket says nothing of its network:
 * a new network may take it.  A network that finds no full one in its set has
 * none of its own and draws from that of another.  So nobody can make room for
 * a network whose bucket is empty, and no network gains by losing its bucket.
 * Owned by one thread.
 */
struct ratelimit {
	uint32_t rate;   /* replies a second; 0: no limit */
	uint32_t burst;  /* replies at once */
	uint64_t key[2]; /* secret: no client can choose its set */
	uint64_t random;
	struct bucket {
		uint64_t network;
		uint32_t millitokens;
		uint32_t leak;    /* millitokens / LEAK_SHARE: its own budget */
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
