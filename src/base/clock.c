#include "base/clock.h"

uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t
clock_ns_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	int64_t ns = (int64_t)(now.tv_sec - then->tv_sec) * 1000000000 +
	             (now.tv_nsec - then->tv_nsec);
	return ns > 0 ? (uint64_t)ns : 0;
}
