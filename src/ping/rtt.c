#include "ping/rtt.h"

#define SUB_COUNT (UINT64_C(1) << RTT_SUB_BITS)

/*
 * Values below 2 * SUB_COUNT have a bucket each; above, each doubling has
 * SUB_COUNT buckets.
 */
static unsigned
find_shift(uint64_t ns)
{
	unsigned bits = ns == 0 ? 0 : 64 - (unsigned)__builtin_clzll(ns);

	return bits > RTT_SUB_BITS + 1 ? bits - RTT_SUB_BITS - 1 : 0;
}

static uint64_t
bucket_of(uint64_t ns)
{
	unsigned shift = find_shift(ns);

	return (shift << RTT_SUB_BITS) + (ns >> shift);
}

/* The middle of what a bucket counts. */
static int64_t
middle_of(uint64_t bucket)
{
	uint64_t shift = bucket < 2 * SUB_COUNT ? 0
	                                        : (bucket >> RTT_SUB_BITS) - 1;
	uint64_t low = (bucket - (shift << RTT_SUB_BITS)) << shift;

	return (int64_t)(low + ((UINT64_C(1) << shift) >> 1));
}

void
rtt_add(struct rtt *rtt, int64_t ns)
{
	if (ns < 0)
		ns = 0;
	double change = (double)(ns - rtt->last_ns);
	double distance = (double)ns - rtt->mean_ns;

	if (rtt->count > 0)
		rtt->jitter_ns +=
		    ((change < 0 ? -change : change) - rtt->jitter_ns) / 16;
	if (rtt->count == 0 || ns < rtt->min_ns)
		rtt->min_ns = ns;
	if (ns > rtt->max_ns)
		rtt->max_ns = ns;
	rtt->last_ns = ns;
	rtt->count++;
	rtt->mean_ns += distance / (double)rtt->count;
	rtt->squares += distance * ((double)ns - rtt->mean_ns);
	rtt->bucket[bucket_of((uint64_t)ns)]++;
}

int64_t
rtt_percentile_ns(const struct rtt *rtt, double percent)
{
	double wanted = (double)rtt->count * percent / 100;
	uint64_t seen = rtt->bucket[0], at = 0;

	while (at < RTT_BUCKETS - 1 && (seen == 0 || (double)seen < wanted))
		seen += rtt->bucket[++at];
	int64_t ns = middle_of(at);
	if (ns < rtt->min_ns)
		return rtt->min_ns;
	return ns < rtt->max_ns ? ns : rtt->max_ns;
}

int64_t
rtt_deviation_ns(const struct rtt *rtt)
{
	double variance = rtt->count == 0 ? 0
	                                  : rtt->squares / (double)rtt->count;
	double root = variance, next = (variance + 1) / 2;

	if (variance < 1)
		return 0;
	/* Newton's method: from above it falls until it is exact. */
	while (next < root) {
		root = next;
		next = (root + variance / root) / 2;
	}
	return (int64_t)(root + 0.5);
}
