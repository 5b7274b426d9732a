#include "histogram.h"

#include <string.h>

#define BUCKETS (HISTOGRAM_POWERS * HISTOGRAM_CUTS)

/* Each value below 2 * HISTOGRAM_CUTS has its own bucket. */
static unsigned
bucket_of(uint64_t ns)
{
	if (ns < 2 * HISTOGRAM_CUTS)
		return (unsigned)ns;
	unsigned shift = 63U - (unsigned)__builtin_clzll(ns) - 5U;
	unsigned bucket = shift * HISTOGRAM_CUTS + (unsigned)(ns >> shift);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* Returns the largest value of a bucket. */
static uint64_t
top_of(unsigned bucket)
{
	if (bucket < 2 * HISTOGRAM_CUTS)
		return bucket;
	unsigned shift = bucket / HISTOGRAM_CUTS - 1;
	uint64_t head = bucket - shift * HISTOGRAM_CUTS;
	return ((head + 1) << shift) - 1;
}

void
histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

void
histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram->buckets[bucket_of(ns)]++;
	histogram->count++;
	if (ns > histogram->max_ns)
		histogram->max_ns = ns;
}

uint64_t
histogram_at(const struct histogram *histogram, double share)
{
	uint64_t below = 0;
	double wanted = share * (double)histogram->count;

	for (unsigned i = 0; i < BUCKETS; i++) {
		below += histogram->buckets[i];
		if (below > 0 && (double)below >= wanted)
			return top_of(i) < histogram->max_ns
			         ? top_of(i)
			         : histogram->max_ns;
	}
	return 0;
}
