#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in milliseconds: for intervals.  Any thread. */
uint64_t clock_ms(void);

/*
 * Returns true, and sets *last_ms to now_ms, if *last_ms is 0 or at least a
 * minute before now_ms.  Of several threads only one gets true.
 */
bool clock_minute_passed(_Atomic uint64_t *last_ms, uint64_t now_ms);

/* Nanoseconds of CLOCK_REALTIME since then; 0 if it is in the future. */
uint64_t clock_ns_since(const struct timespec *then);

/* Holds the zone of the process, which TZ and tzset(3) set.  Any thread. */
void clock_lock_zone(void);
void clock_unlock_zone(void);

#endif
