#ifndef STAMP_STAMP_READER_H
#define STAMP_STAMP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The time that a stamp tells: the server's clock showed at least at_ns and
 * less than at_ns + resolution_ns.
 */
struct stamp_reading {
	int64_t at_ns; /* since 1970; without a zone as if that were UTC */
	int64_t resolution_ns; /* of the last digit, 1 s without a fraction */
	bool has_zone;
};

/*
 * Reads a stamp of len bytes, "[...] ": ctime, rfc3339 or epoch, with a
 * fraction of up to nine digits or none; rfc3339 also with a space for the T,
 * and without a zone.  Epoch needs ten digits in front of its fraction, as it
 * has from September 2001 on: a fraction could not be told from seconds else.
 * Returns false for anything else, and for times outside 1900 to 2149.  Pure.
 */
bool stamp_reader_read(const char *stamp, size_t len,
    struct stamp_reading *reading);

#endif
