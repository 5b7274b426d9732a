#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

/*
 * Counts durations in buckets whose width grows with the value: each power of
 * two has HISTOGRAM_CUTS buckets, so a percentile is wrong by 3 % at most.
 */
#define HISTOGRAM_CUTS 32
#define HISTOGRAM_POWERS 40 /* up to 2^40 ns, a quarter of an hour */

struct histogram {
	uint64_t count, max_ns;
	uint64_t buckets[HISTOGRAM_POWERS * HISTOGRAM_CUTS];
};

void histogram_clear(struct histogram *histogram);
void histogram_add(struct histogram *histogram, uint64_t ns);

/* The duration that a share, 0 to 1, of all do not exceed; 0 without any. */
uint64_t histogram_at(const struct histogram *histogram, double share);

#endif
