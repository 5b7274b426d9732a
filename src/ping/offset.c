#include "ping/offset.h"

#define SECOND_NS INT64_C(1000000000)
#define FIRST_ZONE_NS (-48 * OFFSET_QUARTER_NS)
#define LAST_ZONE_NS (56 * OFFSET_QUARTER_NS)
#define DRIFT_DIVISOR (1000000 / OFFSET_DRIFT_PPM)
/* Clocks that are slewed drift by up to 500 ppm each; a wider gap is a step. */
#define SLEW_DIVISOR 1000

int64_t
offset_middle_ns(const struct offset_range *range)
{
	return range->low_ns + (range->high_ns - range->low_ns) / 2;
}

int64_t
offset_error_ns(const struct offset_range *range)
{
	return (range->high_ns - range->low_ns + 1) / 2;
}

bool
offset_is_within(const struct offset_range *range, int64_t limit_ns)
{
	return range->low_ns >= -limit_ns && range->high_ns <= limit_ns;
}

/* Moves the range on to the moment at_ns, if that is later. */
static void
widen(struct offset_range *range, int64_t at_ns)
{
	int64_t drift_ns = (at_ns - range->at_ns) / DRIFT_DIVISOR + 1;

	if (at_ns <= range->at_ns)
		return;
	range->low_ns -= drift_ns;
	range->high_ns += drift_ns;
	range->at_ns = at_ns;
}

static void
shift(struct offset_range *range, int64_t by_ns, int64_t error_ns)
{
	range->low_ns -= by_ns + error_ns;
	range->high_ns -= by_ns - error_ns;
	range->at_ns += by_ns;
}

static int64_t
nearest_quarter_ns(int64_t ns)
{
	int64_t half = ns < 0 ? -OFFSET_QUARTER_NS / 2 : OFFSET_QUARTER_NS / 2;

	return (ns + half) / OFFSET_QUARTER_NS * OFFSET_QUARTER_NS;
}

bool
offset_allows(const struct offset *offset, int64_t ns)
{
	const struct offset_range *range = &offset->best;

	if (!offset->has_zone)
		ns -= nearest_quarter_ns(ns - offset_middle_ns(range));
	return range->low_ns <= ns && ns <= range->high_ns;
}

/* The zone of a stamp that does not tell it; range is as if it were UTC. */
static int64_t
find_zone_ns(const struct offset *offset, const struct offset_range *range)
{
	int64_t known_ns = offset->known ? offset_middle_ns(&offset->now) : 0;
	int64_t zone_ns = nearest_quarter_ns(
	    offset_middle_ns(range) - known_ns);

	if (zone_ns < FIRST_ZONE_NS || zone_ns > LAST_ZONE_NS)
		return 0;
	return zone_ns;
}

/* How far the ranges are apart; 0: they meet. */
static int64_t
find_gap_ns(const struct offset_range *a, const struct offset_range *b)
{
	if (a->low_ns > b->high_ns)
		return a->low_ns - b->high_ns;
	if (b->low_ns > a->high_ns)
		return b->low_ns - a->high_ns;
	return 0;
}

static void
intersect(struct offset_range *range, const struct offset_range *other)
{
	if (range->low_ns < other->low_ns)
		range->low_ns = other->low_ns;
	if (range->high_ns > other->high_ns)
		range->high_ns = other->high_ns;
}

static void
keep_best(struct offset *offset)
{
	if (offset_error_ns(&offset->now) < offset_error_ns(&offset->best))
		offset->best = offset->now;
}

/* Takes the zone out of range, and keeps it; returns whether it is another. */
static bool
take_zone(struct offset *offset, struct offset_range *range, bool has_zone)
{
	int64_t zone_ns = has_zone ? 0 : find_zone_ns(offset, range);
	bool is_new = zone_ns != offset->zone_ns ||
	              has_zone != offset->has_zone;

	range->low_ns -= zone_ns;
	range->high_ns -= zone_ns;
	offset->zone_ns = zone_ns;
	offset->has_zone = has_zone;
	return is_new;
}

/* Drops what is known, and the zone that followed from it. */
static void
begin(struct offset *offset, struct offset_range *range)
{
	range->low_ns += offset->zone_ns;
	range->high_ns += offset->zone_ns;
	offset->known = false;
	take_zone(offset, range, offset->has_zone);
	offset->known = true;
	offset->now = offset->best = *range;
}

enum offset_fit
offset_add(struct offset *offset, int64_t sent_ns, int64_t received_ns,
    const struct stamp_reading *stamp, int64_t *gap_ns)
{
	int64_t elapsed_ns = received_ns - offset->now.at_ns;
	struct offset_range range = { stamp->at_ns - sent_ns,
		stamp->at_ns + stamp->resolution_ns - sent_ns, sent_ns };

	widen(&range, received_ns);
	range.low_ns -= received_ns - sent_ns;
	offset->resolution_ns = stamp->resolution_ns;
	bool is_new_zone = take_zone(offset, &range, stamp->has_zone);
	*gap_ns = 0;
	if (!offset->known) {
		begin(offset, &range);
		return OFFSET_FITS;
	}
	widen(&range, offset->now.at_ns);
	widen(&offset->now, received_ns);
	*gap_ns = find_gap_ns(&offset->now, &range);
	if (*gap_ns > 0) {
		begin(offset, &range);
		return *gap_ns > elapsed_ns / SLEW_DIVISOR ? OFFSET_STEP
		                                           : OFFSET_DRIFT;
	}
	intersect(&offset->now, &range);
	keep_best(offset);
	return is_new_zone ? OFFSET_NEW_ZONE : OFFSET_FITS;
}

void
offset_shift(struct offset *offset, int64_t by_ns, int64_t error_ns)
{
	shift(&offset->now, by_ns, error_ns);
	shift(&offset->best, by_ns, error_ns);
}

int64_t
offset_next_ns(const struct offset *offset, int64_t wanted_ns, int64_t slack_ns,
    int64_t trip_ns)
{
	int64_t turn_ns = offset->resolution_ns;

	if (!offset->known || turn_ns <= trip_ns ||
	    offset->now.high_ns - offset->now.low_ns > 2 * turn_ns)
		return wanted_ns;
	/* What the server's stamp would be late by, if we asked then. */
	int64_t late_ns =
	    (wanted_ns + trip_ns + offset_middle_ns(&offset->now)) % turn_ns;
	if (late_ns < 0)
		late_ns += turn_ns;
	if (late_ns > turn_ns / 2)
		late_ns -= turn_ns;
	if (late_ns > slack_ns || late_ns < -slack_ns)
		return wanted_ns;
	return wanted_ns - late_ns;
}
