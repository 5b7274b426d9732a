#ifndef PING_RTT_H
#define PING_RTT_H

#include <stdint.h>

#define RTT_SUB_BITS 8
#define RTT_BUCKETS ((64 - RTT_SUB_BITS + 1) << RTT_SUB_BITS)

/*
 * Statistics of round trips, in ns, in constant space: counts by size, exact
 * below 512 ns and to 0.4 % above.  All zero at first.  All functions are pure.
 */
struct rtt {
	uint64_t count;
	int64_t min_ns, max_ns, last_ns;
	double mean_ns, squares; /* of the distances from the mean */
	double jitter_ns; /* RFC 3550, 6.4.1, of one round trip to the next */
	uint64_t bucket[RTT_BUCKETS];
};

void rtt_add(struct rtt *rtt, int64_t ns);

/* What percent of the round trips do not exceed; 0 if there were none. */
int64_t rtt_percentile_ns(const struct rtt *rtt, double percent);

/* The standard deviation of the population; 0 if there were none. */
int64_t rtt_deviation_ns(const struct rtt *rtt);

#endif
