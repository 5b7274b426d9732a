#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in milliseconds: for intervals.  Any thread. */
uint64_t clock_ms(void);

#endif
