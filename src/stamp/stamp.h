#ifndef STAMP_STAMP_H
#define STAMP_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "stamp/zone.h"

#define STAMP_PATTERN_MAX 64 /* bytes of a strftime pattern */
#define STAMP_ZONE_MAX 64    /* bytes of the name of a zone, with its NUL */
#define STAMP_TEXT_MAX 1024  /* bytes of a stamp with its brackets */

/*
 * What a stamp looks like: a strftime(3) pattern in which each fraction of a
 * second of 3, 6 or 9 digits is a run of as many bytes \1, \2 or \3, and %s is
 * \4.  Immutable once compiled; copied by value.
 */
struct stamp_format {
	char text[STAMP_PATTERN_MAX + 1]; /* that it was compiled from */
	char pattern[3 * STAMP_PATTERN_MAX + 1];
	bool epoch;      /* begins with the seconds since 1970 */
	bool zone_colon; /* ends in a zone, and +0100 is written +01:00 */
};

/* A stamp: "[...] ", rendered once a second and kept.  Owned by one thread. */
struct stamp {
	struct stamp_format format;
	char zone_name[STAMP_ZONE_MAX]; /* "": that of the process */
	struct zone zone;               /* of zone_name */
	time_t second;
	size_t len; /* 0: nothing is rendered yet */
	size_t fractions;
	struct stamp_fraction {
		size_t at, digits;
	} fraction[STAMP_PATTERN_MAX / 3 + 1];
	char text[STAMP_TEXT_MAX];
};

/*
 * Compiles "ctime", "rfc3339", "epoch", the last two also with -ms, -us or
 * -ns, or a strftime(3) pattern with %3N, %6N and %9N.  -1 with the reason in
 * error for any other text.  Any thread.
 */
int stamp_format_compile(struct stamp_format *format, const char *text,
    char *error, size_t error_size);

/* Whether zone is "local", "UTC" or a time zone of this system.  Any thread. */
bool stamp_zone_exists(const char *zone);

/*
 * Makes zone the time zone of this process, for every stamp initialised from
 * now on, and reads its file anew.  local_tz is what "local" means: the value
 * of TZ before the first call, or NULL for /etc/localtime.  The main thread
 * only, and for the first time before there are other threads.  -1 with errno
 * when local_tz is too long or memory runs out.
 */
int stamp_set_zone(const char *zone, const char *local_tz);

/* Nothing is rendered until the first stamp_at.  In the process's zone. */
void stamp_init(struct stamp *stamp, const struct stamp_format *format);

/*
 * Gives it a zone of its own, as stamp_set_zone takes one.  The file of the
 * zone is read once after each stamp_set_zone, and again for a time that it did
 * not cover.
 */
void stamp_use_zone(struct stamp *stamp, const char *zone);

/*
 * The text for a time of CLOCK_REALTIME, *len bytes without a terminating NUL;
 * valid until the next call.
 */
const char *stamp_at(struct stamp *stamp, const struct timespec *when,
    size_t *len);

/*
 * Whether data begins with what looks like text, a stamp of text_len bytes, at
 * another time or in another zone: digits, letters and signs may differ.  Pure.
 */
bool stamp_resembles(const char *text, size_t text_len, const char *data,
    size_t len);

#endif
