#include "datagram/ratelimit.h"

#include <string.h>
#include <sys/param.h>

void
ratelimit_init(struct ratelimit *limit, const uint64_t seed[3])
{
	memset(limit, 0, sizeof(*limit));
	limit->key[0] = seed[0];
	limit->key[1] = seed[1] | 1;
	limit->random = seed[2] | 1;
}

void
ratelimit_configure(struct ratelimit *limit, int rate, int burst)
{
	limit->rate = (uint32_t)rate;
	limit->burst = (uint32_t)burst;
}

/* The bucket of network.  A new one is full and replaces the oldest. */
static struct bucket *
find_bucket(struct ratelimit *limit, uint64_t network, uint32_t now_ms)
{
	uint64_t hash = (network ^ limit->key[0]) * limit->key[1];

	hash = (hash ^ hash >> 32) * limit->key[1];
	struct bucket *set = limit->buckets[hash >> 32 & (RATELIMIT_SETS - 1)];
	struct bucket *oldest = &set[0];

	for (int i = 0; i < RATELIMIT_WAYS; i++) {
		if (set[i].last_ms != 0 && set[i].network == network)
			return &set[i];
		if (set[i].last_ms == 0 ||
		    (oldest->last_ms != 0 &&
			now_ms - set[i].last_ms > now_ms - oldest->last_ms))
			oldest = &set[i];
	}
	oldest->network = network;
	oldest->millitokens = limit->burst * 1000;
	oldest->last_ms = now_ms;
	return oldest;
}

bool
ratelimit_allow(struct ratelimit *limit, uint64_t network, uint64_t now_ms)
{
	uint32_t now = (uint32_t)now_ms != 0 ? (uint32_t)now_ms : 1;
	uint64_t full = (uint64_t)limit->burst * 1000;

	if (limit->rate == 0)
		return true;
	struct bucket *bucket = find_bucket(limit, network, now);
	uint64_t tokens = bucket->millitokens +
	                  (uint64_t)(now - bucket->last_ms) * limit->rate;
	bucket->millitokens = (uint32_t)MIN(tokens, full);
	bucket->last_ms = now;
	if (bucket->millitokens >= 1000) {
		bucket->millitokens -= 1000;
		return true;
	}
	/* xorshift64 */
	limit->random ^= limit->random << 13;
	limit->random ^= limit->random >> 7;
	limit->random ^= limit->random << 17;
	return limit->random % RATELIMIT_LEAK == 0;
}
