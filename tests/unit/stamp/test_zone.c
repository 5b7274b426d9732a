#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stamp/zone.h"
#include "unit/suites.h"

#define AROUND 1795223700 /* 2026-11-21 01:15:00 UTC */
#define HOURS 80000       /* more than nine years */

/* The zone, as this process has it from now on too. */
static struct zone
learn(const char *name)
{
	struct zone zone;

	setenv("TZ", name, 1);
	tzset();
	zone_sample(&zone, AROUND);
	return zone;
}

/* What localtime_r says. */
static void
assert_right(const struct zone *zone, time_t when)
{
	char text[64], expected[64];
	struct tm tm, other;

	ck_assert(zone_time(zone, when, &tm));
	localtime_r(&when, &other);
	strftime(expected, sizeof(expected), "%c %z %Z %j", &other);
	strftime(text, sizeof(text), "%c %z %Z %j", &tm);
	ck_assert_str_eq(text, expected);
	ck_assert_int_eq(tm.tm_isdst, other.tm_isdst);
}

static const char *const zones[] = { "UTC0", "Europe/Berlin",
	"America/New_York", "Australia/Lord_Howe", "Africa/Casablanca",
	"Asia/Kathmandu", "Antarctica/Troll", "right/Europe/Berlin",
	"NZST-12NZDT,M9.5.0,M4.1.0/3" };

START_TEST(knows_what_localtime_knows)
{
	struct zone zone = learn(zones[_i]);

	ck_assert_int_gt(zone.count, 0);
	for (time_t when = AROUND - 8000 * 3600L;
	     when < AROUND + HOURS * 3600L && when < zone.end; when += 3600)
		assert_right(&zone, when);
	for (int i = 1; i < zone.count; i++) {
		assert_right(&zone, zone.span[i].since - 1);
		assert_right(&zone, zone.span[i].since);
	}
}
END_TEST

START_TEST(knows_some_years_alone)
{
	struct zone zone = learn("Europe/Berlin"), none = { 0 };
	struct tm tm;

	ck_assert(zone_time(&zone, AROUND, &tm));
	ck_assert(zone_time(&zone, zone.begin, &tm));
	ck_assert(!zone_time(&zone, zone.begin - 1, &tm));
	ck_assert(!zone_time(&zone, zone.end, &tm));
	ck_assert(!zone_time(&none, AROUND, &tm));
	ck_assert_int_lt(zone.begin, AROUND - 365 * 86400);
	ck_assert_int_gt(zone.end, AROUND + 3652 * 86400);
}
END_TEST

/* More changes than it has room for: it knows fewer years. */
START_TEST(a_zone_that_changes_often)
{
	struct zone zone = learn("Africa/Casablanca");
	time_t day = 86400;

	for (time_t when = zone.begin; when < zone.end; when += day)
		assert_right(&zone, when);
	ck_assert_int_le(zone.count, ZONE_SPANS_MAX);
}
END_TEST

Suite *
zone_suite(void)
{
	Suite *suite = suite_create("zone");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, knows_what_localtime_knows, 0,
	    sizeof(zones) / sizeof(zones[0]));
	tcase_add_test(tests, knows_some_years_alone);
	tcase_add_test(tests, a_zone_that_changes_often);
	suite_add_tcase(suite, tests);
	return suite;
}
