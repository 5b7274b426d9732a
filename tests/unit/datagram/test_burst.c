#include <string.h>

#include "datagram/burst.h"
#include "unit/suites.h"

START_TEST(stamps_go_in_front_of_each)
{
	char bytes[BURST_BYTES_MAX];
	struct burst burst;

	burst_begin(&burst, bytes, 6);
	burst_add(&burst, "[T] ", 4, "ab", 2);
	burst_add(&burst, "[T] ", 4, "cd", 2);
	burst_add(&burst, "[T] ", 4, "", 0);
	ck_assert_uint_eq(burst.count, 3);
	ck_assert_uint_eq(burst.len, 16);
	ck_assert_mem_eq(bytes, "[T] ab[T] cd[T] ", 16);
}
END_TEST

START_TEST(nothing_follows_a_shorter_one)
{
	char bytes[BURST_BYTES_MAX];
	struct burst burst;

	burst_begin(&burst, bytes, 6);
	ck_assert(!burst_has_room(&burst, 7));
	ck_assert(burst_has_room(&burst, 6));
	burst_add(&burst, "[T] ", 4, "ab", 2);
	ck_assert(burst_has_room(&burst, 5));
	burst_add(&burst, "[T] ", 4, "c", 1);
	ck_assert(!burst_has_room(&burst, 6));
	ck_assert(!burst_has_room(&burst, 4));
}
END_TEST

START_TEST(the_kernel_takes_so_many_and_so_much)
{
	static char bytes[BURST_BYTES_MAX], data[1000];
	struct burst burst;
	size_t count;

	burst_begin(&burst, bytes, 1);
	for (count = 0; burst_has_room(&burst, 1); count++)
		burst_add(&burst, "", 0, "x", 1);
	ck_assert_uint_eq(count, BURST_SEGMENTS_MAX);
	burst_begin(&burst, bytes, sizeof(data) + 27);
	for (count = 0; burst_has_room(&burst, sizeof(data) + 27); count++)
		burst_add(&burst, "[Sat Nov  7 09:05:03 2026] ", 27, data,
		    sizeof(data));
	ck_assert_uint_eq(count, 63);
	ck_assert(burst_has_room(&burst, BURST_BYTES_MAX - burst.len));
	ck_assert(!burst_has_room(&burst, BURST_BYTES_MAX - burst.len + 1));
}
END_TEST

START_TEST(the_last_may_be_shorter)
{
	ck_assert_uint_eq(burst_count(10, 10), 1);
	ck_assert_uint_eq(burst_count(11, 10), 2);
	ck_assert_uint_eq(burst_count(20, 10), 2);
	ck_assert_uint_eq(burst_segment(11, 10, 0), 10);
	ck_assert_uint_eq(burst_segment(11, 10, 10), 1);
	ck_assert_uint_eq(burst_segment(20, 10, 10), 10);
}
END_TEST

Suite *
burst_suite(void)
{
	Suite *suite = suite_create("burst");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, stamps_go_in_front_of_each);
	tcase_add_test(tests, nothing_follows_a_shorter_one);
	tcase_add_test(tests, the_kernel_takes_so_many_and_so_much);
	tcase_add_test(tests, the_last_may_be_shorter);
	suite_add_tcase(suite, tests);
	return suite;
}
