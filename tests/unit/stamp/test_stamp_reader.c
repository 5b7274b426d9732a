#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stamp/stamp.h"
#include "stamp/stamp_reader.h"
#include "unit/suites.h"

#define SECOND_NS INT64_C(1000000000)

static const struct {
	const char *name;
	int64_t resolution_ns;
	bool has_zone;
} formats[] = {
	{ "ctime", SECOND_NS, false },
	{ "rfc3339", SECOND_NS, true },
	{ "rfc3339-ms", 1000000, true },
	{ "rfc3339-us", 1000, true },
	{ "rfc3339-ns", 1, true },
	{ "epoch", SECOND_NS, true },
	{ "epoch-ms", 1000000, true },
	{ "epoch-us", 1000, true },
	{ "epoch-ns", 1, true },
	/* Patterns that have the same form. */
	{ "%s.%6N", 1000, true },
	{ "%F %T", SECOND_NS, false },
	{ "%FT%TZ", SECOND_NS, false }, /* the zone is a lie: tried in UTC */
	{ "%F %T.%3N%z", 1000000, true },
	{ "%c", SECOND_NS, false },
};
#define FORMATS ((int)(sizeof(formats) / sizeof(formats[0])))

static const char *const zones[] = { "UTC", "Europe/Berlin", "Europe/Dublin",
	"America/New_York", "America/St_Johns", "America/Caracas",
	"Asia/Kathmandu", "Asia/Tehran", "Australia/Lord_Howe",
	"Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Marquesas",
	"Pacific/Apia", "Etc/GMT+12", "Africa/Casablanca" };
#define ZONES ((int)(sizeof(zones) / sizeof(zones[0])))

static void
assert_round_trip(struct stamp *stamp, int format, time_t second, long ns)
{
	struct timespec when = { second, ns };
	int64_t at_ns = second * SECOND_NS + ns;
	struct stamp_reading reading;
	size_t len;
	struct tm tm;

	localtime_r(&second, &tm);
	if (!formats[format].has_zone)
		at_ns += tm.tm_gmtoff * SECOND_NS;
	at_ns -= at_ns % formats[format].resolution_ns;
	const char *text = stamp_at(stamp, &when, &len);
	ck_assert_msg(stamp_reader_read(text, len, &reading), "%.*s", (int)len,
	    text);
	ck_assert_msg(reading.at_ns == at_ns, "%.*s: %lld is not %lld",
	    (int)len, text, (long long)reading.at_ns, (long long)at_ns);
	ck_assert_int_eq(reading.resolution_ns, formats[format].resolution_ns);
	ck_assert(reading.has_zone == formats[format].has_zone ||
		  strcmp(formats[format].name, "%FT%TZ") == 0);
}

/* Times from 2001-09-09 to 2106, with the ends of months and of days. */
START_TEST(reads_what_the_server_writes)
{
	static const time_t ends[] = { 1000000000, 1078012799, 1078012800,
		1078099199, 1078099200, 1104537599, 1104537600, 1709164799,
		1709251199, 1709251200, 1774746000, 1774745999, 1792890000,
		2147483647, 2147483648, 4107542399, 4107542400 };
	char error[256];
	struct stamp_format format;
	struct stamp stamp;

	bool is_utc = strcmp(formats[_i].name, "%FT%TZ") == 0;

	srandom(1);
	ck_assert_int_eq(stamp_format_compile(&format, formats[_i].name, error,
			     sizeof(error)),
	    0);
	for (int zone = 0; zone < (is_utc ? 1 : ZONES); zone++) {
		ck_assert_int_eq(stamp_set_zone(zones[zone], NULL), 0);
		stamp_init(&stamp, &format);
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
			assert_round_trip(&stamp, _i, ends[i], 999999999);
		for (int i = 0; i < 300; i++)
			assert_round_trip(&stamp, _i,
			    1000000000 + random() + random() % 1000000000,
			    random() % SECOND_NS);
	}
}
END_TEST

START_TEST(reads_the_days_of_two_centuries)
{
	struct stamp_reading reading;
	char text[64];

	stamp_set_zone("UTC", NULL);
	for (time_t day = -25567; day < 65744; day++) {
		time_t second = day * 86400 + (day & 0xffff);
		struct tm tm;

		gmtime_r(&second, &tm);
		if (tm.tm_mday > 2 && tm.tm_mday < 27)
			continue;
		size_t len = strftime(text, sizeof(text), "[%c] ", &tm);
		ck_assert_msg(stamp_reader_read(text, len, &reading), "%s",
		    text);
		ck_assert_int_eq(reading.at_ns, second * SECOND_NS);
	}
}
END_TEST

START_TEST(reads_zones_and_fractions)
{
	static const struct {
		const char *text;
		int64_t at_ns, resolution_ns;
		bool has_zone;
	} cases[] = {
		{ "[1970-01-01T00:00:00Z] ", 0, SECOND_NS, true },
		{ "[1970-01-01T05:45:00+05:45] ", 0, SECOND_NS, true },
		{ "[1969-12-31T14:30:00-0930] ", 0, SECOND_NS, true },
		{ "[1970-01-01T00:00:00-00:30] ", 1800 * SECOND_NS, SECOND_NS,
		    true },
		{ "[1970-01-01 00:00:00] ", 0, SECOND_NS, false },
		{ "[1970-01-01T00:00:00.1Z] ", 100000000, 100000000, true },
		{ "[1970-01-01T00:00:00.000000009Z] ", 9, 1, true },
		{ "[Thu Jan  1 00:00:00 1970] ", 0, SECOND_NS, false },
		{ "[1000000000.25] ", 1000000000250000000, 10000000, true },
	};
	struct stamp_reading reading;
	const char *text = cases[_i].text;

	ck_assert(stamp_reader_read(text, strlen(text), &reading));
	ck_assert_int_eq(reading.at_ns, cases[_i].at_ns);
	ck_assert_int_eq(reading.resolution_ns, cases[_i].resolution_ns);
	ck_assert(reading.has_zone == cases[_i].has_zone);
}
END_TEST

START_TEST(refuses_anything_else)
{
	static const char *const cases[] = { "", "[", "[] ", "] ", "[]",
		"hello", "[hello] ", "[Sat Nov 21 01:15:00 2026]",
		"Sat Nov 21 01:15:00 2026] ", "[Sun Nov 21 01:15:00 2026] ",
		"[Sat Nov 31 01:15:00 2026] ", "[Sat Nov  0 01:15:00 2026] ",
		"[Sat Nov 21 24:15:00 2026] ", "[Sat Nov 21 01:60:00 2026] ",
		"[Sat Nov 21 01:15:60 2026] ", "[Sat Nov 21 01:15:00 20260] ",
		"[Sat Nov 7 09:05:03 2026] ", "[Sat Nov 21  1:15:00 2026] ",
		"[sat nov 21 01:15:00 2026] ", "[Mon Feb 29 00:00:00 2027] ",
		"[2026-11-21] ", "[2026-02-29T01:15:00Z] ",
		"[2026-13-01T01:15:00Z] ", "[2026-00-01T01:15:00Z] ",
		"[2026-11-21T01:15:00.Z] ",
		"[2026-11-21T01:15:00.0123456789Z] ",
		"[2026-11-21T01:15:00+1] ", "[2026-11-21T01:15:00+01:60] ",
		"[2026-11-21T01:15:00+26:00] ", "[2026-11-21T01:15:00Zulu] ",
		"[2026-11-21T01:15:00+01:00 ] ", "[999999999] ",
		"[0999999999] ", "[-1795223700] ", "[17952237000] ",
		"[179522370001] ", "[1795223700.] ", "[1795223700.0123456789] ",
		"[1795223700012.5] ", "[17952237000123456789] ",
		"[99999999999999999999999999999999] ", "[9999999999] ",
		"[Fri Dec 31 23:59:59 1899] ", "[Thu Jan  1 00:00:00 2150] ",
		"[01:15:00] ", "[1795223700\n] " };
	struct stamp_reading reading;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(!stamp_reader_read(cases[i], strlen(cases[i]),
				  &reading),
		    "'%s' is %lld", cases[i], (long long)reading.at_ns);
	ck_assert(!stamp_reader_read("[1795223700\0] ", 14, &reading));
}
END_TEST

/* A stamp in which one byte is wrong is refused, or tells another time. */
START_TEST(every_byte_matters)
{
	static const char *const stamps[] = { "[Sat Nov 21 01:15:00 2026] ",
		"[2026-11-21T01:15:00.012345678+01:00] ",
		"[1795223700012345678] " };
	const char *stamp = stamps[_i];
	size_t len = strlen(stamp);
	struct stamp_reading right, wrong;
	char text[64];

	ck_assert(stamp_reader_read(stamp, len, &right));
	for (size_t at = 0; at < len; at++)
		for (int byte = 0; byte < 256; byte++) {
			strcpy(text, stamp);
			text[at] = (char)byte;
			if (byte == stamp[at] ||
			    !stamp_reader_read(text, len, &wrong))
				continue;
			ck_assert_msg(wrong.at_ns != right.at_ns ||
					  (stamp[at] == 'T' && byte == ' '),
			    "%s", text);
		}
	for (size_t cut = 0; cut < len; cut++)
		ck_assert(!stamp_reader_read(stamp, cut, &wrong));
}
END_TEST

Suite *
stamp_reader_suite(void)
{
	Suite *suite = suite_create("stamp_reader");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, reads_what_the_server_writes, 0, FORMATS);
	tcase_add_test(tests, reads_the_days_of_two_centuries);
	tcase_add_loop_test(tests, reads_zones_and_fractions, 0, 9);
	tcase_add_test(tests, refuses_anything_else);
	tcase_add_loop_test(tests, every_byte_matters, 0, 3);
	suite_add_tcase(suite, tests);
	return suite;
}
