#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in milliseconds: for intervals.  Any thread. */
uint64_t clock_ms(void);

/* Nanoseconds of CLOCK_REALTIME since then; 0 if it is in the future. */
uint64_t clock_ns_since(const struct timespec *then);

#endif
