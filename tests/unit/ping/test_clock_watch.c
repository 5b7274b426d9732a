#include <time.h>

/* The code under test, with clocks that the test sets. */
#define clock_gettime read_fake_clock
#define clock_watch_init fake_watch_init
#define clock_watch_read fake_watch_read
static int read_fake_clock(clockid_t clock, struct timespec *now);
#include "ping/clock_watch.c" /* NOLINT(bugprone-suspicious-include) */
#include "unit/suites.h"

#define HOUR_S 3600

static time_t real_s, boot_s, awake_s;

static int
read_fake_clock(clockid_t clock, struct timespec *now)
{
	*now = (struct timespec){ .tv_sec = awake_s };
	if (clock == CLOCK_REALTIME)
		now->tv_sec = real_s;
	else if (clock == CLOCK_BOOTTIME)
		now->tv_sec = boot_s;
	return 0;
}

static void
sleep_an_hour(void)
{
	real_s += HOUR_S;
	boot_s += HOUR_S;
}

START_TEST(a_suspended_machine_is_not_a_step)
{
	struct clock_watch watch;
	int64_t step_ns;

	real_s = 1000000, boot_s = awake_s = 100;
	fake_watch_init(&watch);
	sleep_an_hour();
	fake_watch_read(&watch, &step_ns);
	ck_assert_int_eq(step_ns, 0);
	ck_assert_uint_eq(watch.steps, 0);
}
END_TEST

START_TEST(a_clock_that_is_set_is_a_step)
{
	struct clock_watch watch;
	int64_t step_ns;

	real_s = 1000000, boot_s = awake_s = 100;
	fake_watch_init(&watch);
	sleep_an_hour();
	real_s -= 5;
	fake_watch_read(&watch, &step_ns);
	ck_assert_int_eq(step_ns, -5000000000);
	ck_assert_uint_eq(watch.steps, 1);
	fake_watch_read(&watch, &step_ns);
	ck_assert_int_eq(step_ns, 0);
}
END_TEST

Suite *
clock_watch_suite(void)
{
	Suite *suite = suite_create("clock_watch");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_suspended_machine_is_not_a_step);
	tcase_add_test(tests, a_clock_that_is_set_is_a_step);
	suite_add_tcase(suite, tests);
	return suite;
}
