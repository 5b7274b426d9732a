#ifndef STAMP_ZONE_H
#define STAMP_ZONE_H

#include <stdbool.h>
#include <time.h>

#define ZONE_SPANS_MAX 32

/*
 * What a time zone adds to UTC over some years, so that its times need neither
 * TZ nor a file.  All zero: of no time.  Pure but for zone_sample.
 */
struct zone {
	time_t begin, end; /* of what it knows; the end is not in it */
	int count;
	struct zone_span {
		time_t since;
		long shift;  /* seconds, of the clock */
		long offset; /* seconds, as %z shows; leap seconds differ */
		int is_dst;
		char name[16];
	} span[ZONE_SPANS_MAX];
};

/*
 * Learns the zone that localtime_r(3) uses now: from a year before around to
 * ten years after it, or less where it changes very often.
 */
void zone_sample(struct zone *zone, time_t around);

/* False: zone does not know that time. */
bool zone_time(const struct zone *zone, time_t when, struct tm *tm);

#endif
