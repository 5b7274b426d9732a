#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in milliseconds: for intervals.  Any thread. */
uint64_t clock_ms(void);

/*
 * Returns true if now_ms is a minute or more after *last_ms, or that is 0, and
 * makes *last_ms now_ms.  Of several threads only one gets true.
 */
bool clock_minute_passed(_Atomic uint64_t *last_ms, uint64_t now_ms);

/* Nanoseconds of CLOCK_REALTIME since then; 0 if it is in the future. */
uint64_t clock_ns_since(const struct timespec *then);

/* Holds the zone of the process, which TZ and tzset(3) set.  Any thread. */
void clock_lock_zone(void);
void clock_unlock_zone(void);

#endif
