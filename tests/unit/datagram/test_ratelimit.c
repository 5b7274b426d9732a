#include <stdlib.h>

#include "datagram/ratelimit.h"
#include "unit/suites.h"

static struct ratelimit limit;

static void
set_up(int rate, int burst)
{
	static const uint64_t seed[3] = { 11, 22, 33 };

	ratelimit_init(&limit, seed);
	ratelimit_configure(&limit, rate, burst);
}

static int
allowed_of(int tries, uint64_t network, uint64_t now_ms)
{
	int allowed = 0;

	for (int i = 0; i < tries; i++)
		allowed += ratelimit_allow(&limit, network, now_ms);
	return allowed;
}

START_TEST(burst_then_leak)
{
	set_up(100, 50);
	ck_assert_int_eq(allowed_of(50, 1, 1000), 50);
	int leaked = allowed_of(16000, 1, 1000);
	ck_assert_int_gt(leaked, 500);
	ck_assert_int_lt(leaked, 2000);
}
END_TEST

START_TEST(refills_with_time)
{
	set_up(100, 50);
	ck_assert_int_eq(allowed_of(50, 1, 1000), 50);
	ck_assert_int_eq(allowed_of(10, 1, 1100), 10);
	ck_assert_int_eq(allowed_of(50, 1, 999999), 50);
	ck_assert_int_lt(allowed_of(100, 1, 999999), 50);
}
END_TEST

START_TEST(sources_do_not_share)
{
	set_up(1, 1);
	for (uint64_t network = 0; network < 500; network++)
		ck_assert_int_eq(allowed_of(1, network, 5), 1);
	ck_assert_int_lt(allowed_of(100, 7, 5), 50);
}
END_TEST

START_TEST(many_sources_push_out_the_oldest_only)
{
	set_up(1, 1);
	for (uint64_t i = 0; i < 100000; i++) {
		ratelimit_allow(&limit, 1000 + i, 10 + i);
		/* In use all the time: its bucket stays, and stays empty. */
		ratelimit_allow(&limit, 3, 10 + i);
	}
	ck_assert_int_lt(allowed_of(160, 3, 100010), 60);
}
END_TEST

START_TEST(no_limit)
{
	set_up(0, 1);
	ck_assert_int_eq(allowed_of(100000, 1, 0), 100000);
}
END_TEST

START_TEST(clock_wraps)
{
	set_up(1000, 10);
	ck_assert_int_eq(allowed_of(10, 1, UINT32_MAX - 1), 10);
	ck_assert_int_eq(allowed_of(10, 1, (uint64_t)UINT32_MAX + 20), 10);
}
END_TEST

Suite *
ratelimit_suite(void)
{
	Suite *suite = suite_create("ratelimit");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, burst_then_leak);
	tcase_add_test(tests, refills_with_time);
	tcase_add_test(tests, sources_do_not_share);
	tcase_add_test(tests, many_sources_push_out_the_oldest_only);
	tcase_add_test(tests, no_limit);
	tcase_add_test(tests, clock_wraps);
	suite_add_tcase(suite, tests);
	return suite;
}
