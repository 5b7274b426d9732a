#include "stamp/zone.h"

#include <stdio.h>
#include <string.h>

#define DAY (24 * 3600L)
#define YEAR (366 * DAY)

static struct zone_span
look(time_t when)
{
	struct zone_span span = { .since = when };
	struct tm tm, copy;

	localtime_r(&when, &tm);
	copy = tm;
	span.shift = timegm(&copy) - when;
	span.offset = tm.tm_gmtoff;
	span.is_dst = tm.tm_isdst;
	snprintf(span.name, sizeof(span.name), "%s", tm.tm_zone);
	return span;
}

static bool
is_same(const struct zone_span *a, const struct zone_span *b)
{
	return a->shift == b->shift && a->offset == b->offset &&
	       a->is_dst == b->is_dst && strcmp(a->name, b->name) == 0;
}

/* The first that is not the same as last, which next is not. */
static struct zone_span
find_change(const struct zone_span *last, struct zone_span next, time_t from)
{
	while (next.since - from > 1) {
		time_t middle = from + (next.since - from) / 2;
		struct zone_span span = look(middle);

		if (is_same(last, &span))
			from = middle;
		else
			next = span;
	}
	return next;
}

void
zone_sample(struct zone *zone, time_t around)
{
	zone->begin = around - YEAR;
	zone->end = around + 10 * YEAR;
	zone->span[0] = look(zone->begin);
	zone->count = 1;
	for (time_t at = zone->begin + DAY; at < zone->end; at += DAY) {
		const struct zone_span *last = &zone->span[zone->count - 1];
		struct zone_span next = look(at);

		if (is_same(last, &next))
			continue;
		next = find_change(last, next, at - DAY);
		if (zone->count == ZONE_SPANS_MAX)
			zone->end = next.since;
		else
			zone->span[zone->count++] = next;
	}
}

bool
zone_time(const struct zone *zone, time_t when, struct tm *tm)
{
	int i = zone->count - 1;

	if (when < zone->begin || when >= zone->end)
		return false;
	while (zone->span[i].since > when)
		i--;
	const struct zone_span *span = &zone->span[i];
	time_t shifted = when + span->shift;
	gmtime_r(&shifted, tm);
	tm->tm_isdst = span->is_dst;
	tm->tm_gmtoff = span->offset;
	tm->tm_zone = span->name;
	return true;
}
