#include "datagram/ratelimit.h"

#include <string.h>
#include <sys/param.h>

#define TOKEN 1000U /* millitokens */
#define LEAK_TOKEN (RATELIMIT_LEAK_SHARE * TOKEN)

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

/* Adds what bucket has gained until now; returns whether it is full. */
static bool
refill(const struct ratelimit *limit, struct bucket *bucket, uint32_t now_ms)
{
	uint64_t full = (uint64_t)limit->burst * TOKEN;
	/* A second's worth, but at least what one reply takes. */
	uint64_t leak_full = (uint64_t)MAX(limit->rate, RATELIMIT_LEAK_SHARE) *
	                     TOKEN;
	uint64_t gain = (uint64_t)(now_ms - bucket->last_ms) * limit->rate;

	if (bucket->last_ms == 0)
		gain = UINT32_MAX;
	bucket->millitokens = (uint32_t)MIN(bucket->millitokens + gain, full);
	bucket->leak = (uint32_t)MIN(bucket->leak + gain, leak_full);
	bucket->last_ms = now_ms;
	return bucket->millitokens == full && bucket->leak == leak_full;
}

/* The bucket of network, or one that it shares, refilled. */
static struct bucket *
find_bucket(struct ratelimit *limit, uint64_t network, uint32_t now_ms)
{
	uint64_t hash = (network ^ limit->key[0]) * limit->key[1];

	hash = (hash ^ hash >> 32) * limit->key[1];
	struct bucket *set = limit->buckets[hash >> 32 & (RATELIMIT_SETS - 1)];

	for (int i = 0; i < RATELIMIT_WAYS; i++)
		if (set[i].network == network) {
			refill(limit, &set[i], now_ms);
			return &set[i];
		}
	for (int i = 0; i < RATELIMIT_WAYS; i++)
		if (refill(limit, &set[i], now_ms)) {
			set[i].network = network;
			return &set[i];
		}
	/* Always the same one: if it had a choice the network would gain. */
	return &set[hash >> 60 & (RATELIMIT_WAYS - 1)];
}

bool
ratelimit_allow(struct ratelimit *limit, uint64_t network, uint64_t now_ms)
{
	if (limit->rate == 0)
		return true;
	struct bucket *bucket = find_bucket(limit, network,
	    (uint32_t)now_ms != 0 ? (uint32_t)now_ms : 1);
	if (bucket->millitokens >= TOKEN) {
		bucket->millitokens -= TOKEN;
		return true;
	}
	/* xorshift64 */
	limit->random ^= limit->random << 13;
	limit->random ^= limit->random >> 7;
	limit->random ^= limit->random << 17;
	if (bucket->leak < LEAK_TOKEN || limit->random % RATELIMIT_LEAK != 0)
		return false;
	bucket->leak -= LEAK_TOKEN;
	return true;
}
