#ifndef PING_OFFSET_H
#define PING_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "stamp/stamp_reader.h"

/*
 * How far the server's clock is ahead of ours, as a range that holds.
 *
 * A reply proves that the server's clock showed a time in [stamp, stamp +
 * resolution) at a moment between sent and received of ours.  So the offset
 * lies in [stamp - received, stamp + resolution - sent].  Ranges of several
 * replies are intersected; an older one is widened first by what the clocks may
 * have drifted apart since.
 *
 * A stamp without a zone is taken as of a zone of whole quarters of an hour,
 * from UTC-12 to UTC+14, with the clocks less than 7.5 minutes apart; as UTC
 * if no zone brings them so close.
 *
 * All times are of CLOCK_REALTIME in ns, all functions are pure.
 */

/* Two clocks drift apart by at most this much, in parts per million. */
#define OFFSET_DRIFT_PPM 100

/* Zones are whole quarters of an hour ahead of UTC or behind. */
#define OFFSET_QUARTER_NS (INT64_C(900) * 1000000000)

/* The offset was from low_ns to high_ns at the moment at_ns of our clock. */
struct offset_range {
	int64_t low_ns, high_ns, at_ns;
};

struct offset {
	bool known;
	struct offset_range now;  /* as of the last reply */
	struct offset_range best; /* the narrowest that there was */
	int64_t resolution_ns;    /* of the last stamp */
	bool has_zone;            /* the stamps tell it */
	int64_t zone_ns;          /* if not: the zone that is assumed */
};

/* How a reply fits those before it. */
enum offset_fit {
	OFFSET_FITS,
	OFFSET_NEW_ZONE, /* it does if the zone of the stamps has changed */
	OFFSET_DRIFT,    /* it does if they drift more than OFFSET_DRIFT_PPM */
	OFFSET_STEP,     /* a clock was set, or a time was wrong */
};

/*
 * Adds what a reply proves.  If it contradicts those before it, these are
 * dropped, and *gap_ns is by how much.  The first one fits.
 */
enum offset_fit offset_add(struct offset *offset, int64_t sent_ns,
    int64_t received_ns, const struct stamp_reading *stamp, int64_t *gap_ns);

/* Our clock was set by_ns forwards, or up to error_ns more or less. */
void offset_shift(struct offset *offset, int64_t by_ns, int64_t error_ns);

/* The middle of a range, and the most that it can be wrong by. */
int64_t offset_middle_ns(const struct offset_range *range);
int64_t offset_error_ns(const struct offset_range *range);

/* Whether the offset is at most limit_ns, either way, all over the range. */
bool offset_is_within(const struct offset_range *range, int64_t limit_ns);

/*
 * Whether the best range allows for an offset of ns; where the stamps have no
 * zone, with any multiple of a quarter of an hour added.
 */
bool offset_allows(const struct offset *offset, int64_t ns);

/*
 * When to ask next: the moment nearest to wanted_ns, and at most slack_ns from
 * it, at which the answer halves the range: then the question arrives, trip_ns
 * later, when the stamp turns if the offset is the middle.  wanted_ns if no
 * moment does that.
 */
int64_t offset_next_ns(const struct offset *offset, int64_t wanted_ns,
    int64_t slack_ns, int64_t trip_ns);

#endif
