#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "harness/caught.h"
#include "harness/scratch.h"
#include "stamp/stamp.h"
#include "unit/suites.h"

static struct stamp_format
compile(const char *text)
{
	struct stamp_format format;
	char error[256] = "";

	ck_assert_msg(stamp_format_compile(&format, text, error,
			  sizeof(error)) == 0,
	    "%s: %s", text, error);
	return format;
}

static void
assert_stamp_at(struct stamp *stamp, time_t second, long nanosecond,
    const char *expected)
{
	struct timespec now = { second, nanosecond };
	size_t len;
	const char *text = stamp_at(stamp, &now, &len);

	ck_assert_msg(len == strlen(expected) && !memcmp(text, expected, len),
	    "'%.*s' is not '%s'", (int)len, text, expected);
}

static void
assert_stamp(const char *format_text, const char *zone, time_t second,
    long nanosecond, const char *expected)
{
	struct stamp_format format = compile(format_text);
	struct stamp stamp;

	ck_assert_int_eq(stamp_set_zone(zone, NULL), 0);
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, second, nanosecond, expected);
}

/* 2026-11-21 01:15:00 UTC */
#define SOME_SECOND 1795223700

START_TEST(shows_each_format)
{
	static const struct {
		const char *format, *expected;
	} cases[] = {
		{ "ctime", "[Sat Nov 21 01:15:00 2026] " },
		{ "rfc3339", "[2026-11-21T01:15:00+00:00] " },
		{ "rfc3339-ms", "[2026-11-21T01:15:00.012+00:00] " },
		{ "rfc3339-us", "[2026-11-21T01:15:00.012345+00:00] " },
		{ "rfc3339-ns", "[2026-11-21T01:15:00.012345678+00:00] " },
		{ "epoch", "[1795223700] " },
		{ "epoch-ms", "[1795223700012] " },
		{ "epoch-us", "[1795223700012345] " },
		{ "epoch-ns", "[1795223700012345678] " },
		{ "%H:%M", "[01:15] " },
		{ "%H:%M:%S.%3N", "[01:15:00.012] " },
		{ "%3N%6N%9N", "[012012345012345678] " },
		{ "100%% %-d %Ey", "[100% 21 26] " },
		{ "%%3N", "[%3N] " },
	};

	assert_stamp(cases[_i].format, "UTC", SOME_SECOND, 12345678,
	    cases[_i].expected);
}
END_TEST

START_TEST(shows_short_days_years_end_and_epoch)
{
	assert_stamp("ctime", "UTC", 1794042303, 0,
	    "[Sat Nov  7 09:05:03 2026] ");
	assert_stamp("ctime", "UTC", 1798761599, 999999999,
	    "[Thu Dec 31 23:59:59 2026] ");
	assert_stamp("ctime", "UTC", 1798761600, 0,
	    "[Fri Jan  1 00:00:00 2027] ");
	assert_stamp("ctime", "UTC", 0, 0, "[Thu Jan  1 00:00:00 1970] ");
	assert_stamp("ctime", "UTC", 4294967296, 0,
	    "[Sun Feb  7 06:28:16 2106] ");
}
END_TEST

/* The seconds around a change of the clocks, asked for one after the other. */
START_TEST(follows_daylight_saving_time)
{
	static const struct {
		const char *zone;
		time_t change;
		const char *before, *after;
	} cases[] = {
		{ "Europe/Berlin", 1774746000, "[01:59:59 CET +01:00] ",
		    "[03:00:00 CEST +02:00] " },
		{ "Europe/Berlin", 1792890000, "[02:59:59 CEST +02:00] ",
		    "[02:00:00 CET +01:00] " },
		{ "America/New_York", 1772953200, "[01:59:59 EST -05:00] ",
		    "[03:00:00 EDT -04:00] " },
		{ "Australia/Lord_Howe", 1775314800, "[01:59:59 +11 +11:00] ",
		    "[01:30:00 +1030 +10:30] " },
	};
	char expected[64];
	struct stamp_format format = compile("%H:%M:%S %Z %z");
	struct stamp stamp;

	stamp_set_zone(cases[_i].zone, NULL);
	format.zone_colon = true;
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, cases[_i].change - 1, 0, cases[_i].before);
	assert_stamp_at(&stamp, cases[_i].change, 0, cases[_i].after);
	snprintf(expected, sizeof(expected), "[%lld] ",
	    (long long)cases[_i].change);
	assert_stamp("epoch", cases[_i].zone, cases[_i].change, 0, expected);
}
END_TEST

START_TEST(follows_the_clock_back)
{
	struct stamp_format format = compile("ctime");
	struct stamp stamp;

	stamp_set_zone("UTC", NULL);
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, SOME_SECOND, 999999999,
	    "[Sat Nov 21 01:15:00 2026] ");
	assert_stamp_at(&stamp, SOME_SECOND - 1, 0,
	    "[Sat Nov 21 01:14:59 2026] ");
	assert_stamp_at(&stamp, SOME_SECOND + 3600, 0,
	    "[Sat Nov 21 02:15:00 2026] ");
}
END_TEST

START_TEST(agrees_with_ctime)
{
	static const char *const zones[] = { "UTC", "Europe/Berlin",
		"America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham" };
	struct stamp_format format = compile("ctime");
	struct stamp stamp;

	srandom(1);
	stamp_set_zone(zones[_i], NULL);
	stamp_init(&stamp, &format);
	for (int i = 0; i < 20000; i++) {
		char expected[64], text[32];
		time_t second = random() * 2 + random() % 2;

		ck_assert_ptr_nonnull(ctime_r(&second, text));
		snprintf(expected, sizeof(expected), "[%.24s] ", text);
		assert_stamp_at(&stamp, second, 0, expected);
	}
}
END_TEST

START_TEST(digits_move_within_a_second)
{
	struct stamp_format format = compile("epoch-ms");
	struct stamp stamp;

	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, 1000000000, 1999999, "[1000000000001] ");
	assert_stamp_at(&stamp, 1000000000, 999999999, "[1000000000999] ");
	assert_stamp_at(&stamp, 1000000000, 0, "[1000000000000] ");
}
END_TEST

START_TEST(a_new_format_begins_anew)
{
	struct stamp_format ctime_format = compile("ctime");
	struct stamp_format epoch = compile("epoch-ns");
	struct stamp stamp;

	stamp_set_zone("UTC", NULL);
	stamp_init(&stamp, &epoch);
	assert_stamp_at(&stamp, SOME_SECOND, 1, "[1795223700000000001] ");
	stamp_init(&stamp, &ctime_format);
	assert_stamp_at(&stamp, SOME_SECOND, 1, "[Sat Nov 21 01:15:00 2026] ");
}
END_TEST

START_TEST(local_zone_is_the_one_of_the_process)
{
	struct stamp_format format = compile("%Z");
	struct stamp stamp;

	stamp_set_zone("UTC", NULL);
	stamp_set_zone("local", "Asia/Tokyo");
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, SOME_SECOND, 0, "[JST] ");
}
END_TEST

/* Other threads may be searching the environment for names of their own. */
START_TEST(a_new_zone_leaves_the_environment_where_it_is)
{
	static const char *const zones[] = { "Europe/Berlin", "local", "UTC",
		"America/Argentina/ComodRivadavia", "local" };
	const char *entries[1000];
	size_t count;

	ck_assert_int_eq(stamp_set_zone("UTC", NULL), 0);
	char **environ_before = environ;
	for (count = 0; environ[count] != NULL; count++) {
		ck_assert_uint_lt(count, sizeof(entries) / sizeof(entries[0]));
		entries[count] = environ[count];
	}
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		ck_assert_int_eq(stamp_set_zone(zones[i], NULL), 0);
		ck_assert_ptr_eq(environ, environ_before);
		for (size_t j = 0; j < count; j++)
			ck_assert_ptr_eq(environ[j], entries[j]);
		ck_assert_ptr_null(environ[count]);
	}
}
END_TEST

static void
copy_zone(const char *zone, const char *path)
{
	char command[512];

	snprintf(command, sizeof(command),
	    "cp /usr/share/zoneinfo/%s new && mv new %s", zone, path);
	ck_assert_int_eq(system(command), 0);
}

/* As "local" does when the administrator changes /etc/localtime. */
START_TEST(a_zone_is_read_again_when_it_is_set_again)
{
	struct stamp_format format = compile("%H:%M %Z");
	struct stamp stamp;
	char folder[256], path[300];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(path, sizeof(path), "%s/zone", folder);
	copy_zone("Asia/Tokyo", path);
	ck_assert_int_eq(stamp_set_zone("local", path), 0);
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, SOME_SECOND, 0, "[10:15 JST] ");
	copy_zone("Europe/Berlin", path);
	ck_assert_int_eq(stamp_set_zone("local", path), 0);
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, SOME_SECOND, 0, "[02:15 CET] ");
}
END_TEST

START_TEST(a_zone_of_any_length_is_safe)
{
	static char path[2 * PATH_MAX];
	struct stamp_format format = compile("%Z");
	struct stamp stamp;

	memset(path, 'x', sizeof(path) - 1);
	ck_assert_int_eq(stamp_set_zone("Asia/Tokyo", NULL), 0);
	ck_assert_int_eq(stamp_set_zone("local", path), -1);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	stamp_init(&stamp, &format);
	assert_stamp_at(&stamp, SOME_SECOND, 0, "[JST] ");
}
END_TEST

START_TEST(refuses_what_is_no_format)
{
	static const struct {
		const char *text, *complaint;
	} cases[] = {
		{ "iso", "no such format" },
		{ "", "no such format" },
		{ "rfc3339-xs", "no such format" },
		{ "%Q", "'%Q' is neither a conversion" },
		{ "%H%", "'%' is neither a conversion" },
		{ "%N", "'%N' is neither a conversion" },
		{ "%4N", "'%4N' is neither a conversion" },
		{ "%n", "'%n' is neither a conversion" },
		{ "%H\n", "no control characters" },
		{ "%H 345678901234567890123456789012345678901234567890123456789"
		  "01234",
		    "at most 64 bytes" },
	};
	struct stamp_format format;
	char error[256] = "";

	ck_assert_int_eq(stamp_format_compile(&format, cases[_i].text, error,
			     sizeof(error)),
	    -1);
	ck_assert_msg(strstr(error, cases[_i].complaint) != NULL, "%s", error);
}
END_TEST

START_TEST(longest_pattern_fits)
{
	char pattern[STAMP_PATTERN_MAX + 1];

	for (size_t i = 0; i < STAMP_PATTERN_MAX; i += 2)
		strcpy(pattern + i, "%c");
	struct stamp_format format = compile(pattern);
	struct stamp stamp;
	struct timespec now = { SOME_SECOND, 0 };
	size_t len;

	stamp_init(&stamp, &format);
	stamp_at(&stamp, &now, &len);
	ck_assert_uint_eq(len, 32 * strlen("Sat Nov 21 01:15:00 2026") + 3);
}
END_TEST

START_TEST(renders_once_a_second)
{
	struct stamp_format format = compile("ctime");
	struct stamp stamp;
	struct timespec now = { SOME_SECOND, 0 };
	size_t len;

	stamp_init(&stamp, &format);
	stamp_at(&stamp, &now, &len);
	stamp.text[1] = '?';
	now.tv_nsec = 999999999;
	ck_assert_int_eq(stamp_at(&stamp, &now, &len)[1], '?');
	now.tv_sec++;
	ck_assert_int_ne(stamp_at(&stamp, &now, &len)[1], '?');
}
END_TEST

START_TEST(knows_the_zones_of_the_system)
{
	ck_assert(stamp_zone_exists("local"));
	ck_assert(stamp_zone_exists("UTC"));
	ck_assert(stamp_zone_exists("Europe/Berlin"));
	ck_assert(!stamp_zone_exists("Europe"));
	ck_assert(!stamp_zone_exists("Europe/Nowhere"));
	ck_assert(!stamp_zone_exists("zone.tab"));
	ck_assert(!stamp_zone_exists(""));
	ck_assert(!stamp_zone_exists("/etc/localtime"));
	ck_assert(!stamp_zone_exists("../../../etc/localtime"));
}
END_TEST

/* Two zones in a process, as listeners have them. */
START_TEST(a_stamp_may_have_a_zone_of_its_own)
{
	static const struct {
		const char *zone;
		time_t second;
	} cases[] = { { "Asia/Tokyo", SOME_SECOND },
		{ "Europe/Berlin", SOME_SECOND }, { "UTC", SOME_SECOND },
		{ "local", SOME_SECOND },
		/* The clock is wrong, and then right. */
		{ "Europe/Berlin", 0 }, { "Europe/Berlin", 4102444800 } };
	struct stamp_format format = compile("%FT%T %z %Z %s"), ctime_format;
	struct stamp common, own, wanted;
	struct timespec now = { cases[_i].second, 0 };
	char text[STAMP_TEXT_MAX];
	size_t len;

	ctime_format = compile("%c %Z");
	stamp_set_zone(cases[_i].zone, "America/New_York");
	stamp_init(&wanted, &format);
	snprintf(text, sizeof(text), "%s", stamp_at(&wanted, &now, &len));
	stamp_set_zone("Asia/Kathmandu", "America/New_York");
	stamp_init(&common, &ctime_format);
	stamp_init(&own, &format);
	stamp_use_zone(&own, cases[_i].zone);
	assert_stamp_at(&own, cases[_i].second, 0, text);
	assert_stamp_at(&common, SOME_SECOND, 0,
	    "[Sat Nov 21 07:00:00 2026 +0545] ");
	assert_stamp_at(&own, cases[_i].second, 0, text);
	stamp_set_zone("UTC", NULL);
	assert_stamp_at(&own, cases[_i].second, 0, text);
}
END_TEST

/* No file is read once a second: it may be missing, or files be short. */
START_TEST(a_zone_of_its_own_is_read_once)
{
	char path[64], command[128];
	struct stamp_format format = compile("%H:%M %z");
	struct stamp own;

	snprintf(path, sizeof(path), "/tmp/test-zone-%d", (int)getpid());
	snprintf(command, sizeof(command),
	    "cp /usr/share/zoneinfo/Asia/Tokyo %s", path);
	ck_assert_int_eq(system(command), 0);
	stamp_set_zone("UTC", path);
	stamp_init(&own, &format);
	stamp_use_zone(&own, "local");
	ck_assert_int_eq(unlink(path), 0);
	time_t now = time(NULL) / 86400 * 86400;
	assert_stamp_at(&own, now, 0, "[09:00 +0900] ");
	assert_stamp_at(&own, now + 86400 * 900, 0, "[09:00 +0900] ");
}
END_TEST

static void
assert_own_zone(const char *expected)
{
	struct stamp_format format = compile("%H:%M %z");
	struct stamp own;

	stamp_init(&own, &format);
	stamp_use_zone(&own, "local");
	assert_stamp_at(&own, time(NULL) / 86400 * 86400, 0, expected);
}

/* A configuration may have many listeners with the same zone. */
START_TEST(a_zone_is_read_once_for_all_stamps)
{
	char folder[256], path[300];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(path, sizeof(path), "%s/zone", folder);
	copy_zone("Asia/Tokyo", path);
	stamp_set_zone("UTC", path);
	assert_own_zone("[09:00 +0900] ");
	copy_zone("Asia/Kathmandu", path);
	assert_own_zone("[09:00 +0900] ");
	stamp_set_zone("UTC", path);
	assert_own_zone("[05:45 +0545] ");
}
END_TEST

static pthread_barrier_t learning;
static _Atomic bool are_logged;

static void *
learn_again_and_again(void *zone)
{
	struct stamp_format format = compile("%H");
	struct stamp stamp;

	pthread_barrier_wait(&learning);
	while (!are_logged) {
		stamp_set_zone("UTC", NULL);
		stamp_init(&stamp, &format);
		stamp_use_zone(&stamp, zone);
	}
	return NULL;
}

/* Each has the time of UTC: from begin until now. */
static void
assert_times(const char *lines, time_t begin)
{
	const char *line = lines;

	for (; *line != '\0'; line = strchr(line, '\n') + 1) {
		struct tm tm = { 0 };
		ck_assert_ptr_nonnull(strptime(line, "%Y-%m-%d %T.", &tm));
		time_t at = timegm(&tm);
		ck_assert_msg(at >= begin && at <= time(NULL), "%s", line);
	}
	ck_assert_ptr_ne(line, lines);
}

/* A reload learns the zones of listeners while connections close. */
START_TEST(the_log_keeps_its_zone)
{
	char zone[] = "Asia/Tokyo";
	pthread_t thread;

	stamp_set_zone("UTC", NULL);
	pthread_barrier_init(&learning, NULL, 2);
	pthread_create(&thread, NULL, learn_again_and_again, zone);
	caught_begin();
	time_t begin = time(NULL);
	pthread_barrier_wait(&learning);
	for (int i = 0; i < 100; i++)
		log_error("%d", i);
	are_logged = true;
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&learning);
	const char *lines = caught_text();
	caught_end();
	assert_times(lines, begin);
}
END_TEST

Suite *
stamp_suite(void)
{
	Suite *suite = suite_create("stamp");
	TCase *tests = tcase_create("all"), *scratch = tcase_create("scratch");

	tcase_add_loop_test(tests, shows_each_format, 0, 14);
	tcase_add_test(tests, shows_short_days_years_end_and_epoch);
	tcase_add_loop_test(tests, follows_daylight_saving_time, 0, 4);
	tcase_add_test(tests, follows_the_clock_back);
	tcase_add_loop_test(tests, agrees_with_ctime, 0, 5);
	tcase_add_test(tests, digits_move_within_a_second);
	tcase_add_test(tests, a_new_format_begins_anew);
	tcase_add_test(tests, local_zone_is_the_one_of_the_process);
	tcase_add_test(tests, a_new_zone_leaves_the_environment_where_it_is);
	tcase_add_test(tests, a_zone_of_any_length_is_safe);
	tcase_add_loop_test(tests, refuses_what_is_no_format, 0, 10);
	tcase_add_test(tests, longest_pattern_fits);
	tcase_add_test(tests, renders_once_a_second);
	tcase_add_test(tests, knows_the_zones_of_the_system);
	tcase_add_loop_test(tests, a_stamp_may_have_a_zone_of_its_own, 0, 6);
	tcase_add_test(tests, a_zone_of_its_own_is_read_once);
	tcase_add_test(tests, the_log_keeps_its_zone);
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(scratch, scratch_enter, scratch_leave);
	tcase_add_test(scratch, a_zone_is_read_again_when_it_is_set_again);
	tcase_add_test(scratch, a_zone_is_read_once_for_all_stamps);
	suite_add_tcase(suite, scratch);
	return suite;
}
