#include <stdlib.h>
#include <string.h>

#include "ping/rtt.h"
#include "unit/suites.h"

static struct rtt rtt;

static void
set_up(void)
{
	memset(&rtt, 0, sizeof(rtt));
}

START_TEST(nothing_is_zero)
{
	set_up();
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 50), 0);
	ck_assert_int_eq(rtt_deviation_ns(&rtt), 0);
}
END_TEST

START_TEST(one_is_all)
{
	set_up();
	rtt_add(&rtt, 123456789);
	for (int percent = 0; percent <= 100; percent++)
		ck_assert_int_eq(rtt_percentile_ns(&rtt, percent), 123456789);
	ck_assert_int_eq(rtt_deviation_ns(&rtt), 0);
	ck_assert_double_eq(rtt.jitter_ns, 0);
}
END_TEST

/* 1 to 100 in any order: known values. */
START_TEST(small_numbers_are_exact)
{
	set_up();
	for (int64_t i = 0; i < 100; i++)
		rtt_add(&rtt, i * 37 % 100 + 1);
	ck_assert_int_eq(rtt.min_ns, 1);
	ck_assert_int_eq(rtt.max_ns, 100);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 0), 1);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 50), 50);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 90), 90);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 99), 99);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 100), 100);
	ck_assert_double_eq_tol(rtt.mean_ns, 50.5, 1e-9);
	ck_assert_int_eq(rtt_deviation_ns(&rtt), 29); /* 28.87 */
}
END_TEST

START_TEST(deviation_of_known_values)
{
	static const int64_t values[] = { 2000, 4000, 4000, 4000, 5000, 5000,
		7000, 9000 };

	set_up();
	for (size_t i = 0; i < 8; i++)
		rtt_add(&rtt, values[i]);
	ck_assert_int_eq(rtt_deviation_ns(&rtt), 2000);
}
END_TEST

/* J += (|D| - J) / 16 */
START_TEST(jitter_is_that_of_rfc_3550)
{
	set_up();
	rtt_add(&rtt, 1000);
	rtt_add(&rtt, 1160);
	ck_assert_double_eq_tol(rtt.jitter_ns, 10, 1e-9);
	rtt_add(&rtt, 1160);
	ck_assert_double_eq_tol(rtt.jitter_ns, 9.375, 1e-9);
	rtt_add(&rtt, 840);
	ck_assert_double_eq_tol(rtt.jitter_ns, 28.7890625, 1e-9);
}
END_TEST

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Values of all sizes, beside an account that keeps them. */
START_TEST(percentiles_are_right_to_half_a_percent)
{
	static int64_t values[5000];
	int count = 1 + _i * 500;

	set_up();
	srandom((unsigned)_i);
	for (int i = 0; i < count; i++) {
		values[i] = random() >> random() % 31;
		if (random() % 4 == 0)
			values[i] *= 100000;
		rtt_add(&rtt, values[i]);
	}
	qsort(values, (size_t)count, sizeof(values[0]), compare);
	for (int percent = 1; percent <= 100; percent++) {
		int64_t exact = values[(count * percent + 99) / 100 - 1];
		int64_t found = rtt_percentile_ns(&rtt, percent);

		ck_assert_msg(llabs(found - exact) <= exact / 200,
		    "%d %%: %lld is not %lld", percent, (long long)found,
		    (long long)exact);
	}
}
END_TEST

START_TEST(extremes_have_a_place)
{
	set_up();
	rtt_add(&rtt, -1);
	ck_assert_int_eq(rtt.min_ns, 0);
	rtt_add(&rtt, INT64_MAX);
	ck_assert_int_eq(rtt.max_ns, INT64_MAX);
	ck_assert_int_eq(rtt_percentile_ns(&rtt, 50), 0);
	ck_assert_int_ge(rtt_percentile_ns(&rtt, 100), INT64_MAX / 200 * 199);
}
END_TEST

Suite *
rtt_suite(void)
{
	Suite *suite = suite_create("rtt");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, nothing_is_zero);
	tcase_add_test(tests, one_is_all);
	tcase_add_test(tests, small_numbers_are_exact);
	tcase_add_test(tests, deviation_of_known_values);
	tcase_add_test(tests, jitter_is_that_of_rfc_3550);
	tcase_add_loop_test(tests, percentiles_are_right_to_half_a_percent, 0,
	    10);
	tcase_add_test(tests, extremes_have_a_place);
	suite_add_tcase(suite, tests);
	return suite;
}
