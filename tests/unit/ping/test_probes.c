#include <stdlib.h>
#include <string.h>

#include "ping/probes.h"
#include "unit/suites.h"

static struct probes probes;

static void
send_some(uint64_t count)
{
	for (; count > 0; count--) {
		struct probe *probe = probes_add(&probes);

		probe->asked_mono_ns = (int64_t)probe->number * 10;
		probe->key = (uint32_t)probe->number * 64 - 1;
	}
}

static void
set_up(uint64_t count)
{
	memset(&probes, 0, sizeof(probes));
	send_some(count);
}

static enum probe_reply
answer(uint64_t number)
{
	struct probe *probe;
	enum probe_reply reply = probes_answer(&probes, number, &probe);

	if (reply == PROBE_REPLY_UNKNOWN)
		ck_assert_ptr_null(probe);
	else
		ck_assert_uint_eq(probe->number, number);
	return reply;
}

START_TEST(numbers_begin_at_one)
{
	set_up(3);
	ck_assert_int_eq(answer(0), PROBE_REPLY_UNKNOWN);
	ck_assert_int_eq(answer(1), PROBE_REPLY_FIRST);
	ck_assert_int_eq(answer(2), PROBE_REPLY_FIRST);
	ck_assert_int_eq(answer(4), PROBE_REPLY_UNKNOWN);
	ck_assert_int_eq(answer(UINT64_MAX), PROBE_REPLY_UNKNOWN);
	ck_assert_uint_eq(probes_awaited(&probes), 1);
	ck_assert_uint_eq(probes.reordered, 0);
}
END_TEST

START_TEST(counts_duplicates_and_order)
{
	set_up(4);
	ck_assert_int_eq(answer(2), PROBE_REPLY_FIRST);
	ck_assert_int_eq(answer(1), PROBE_REPLY_FIRST);
	ck_assert_int_eq(answer(2), PROBE_REPLY_DUPLICATE);
	ck_assert_int_eq(answer(1), PROBE_REPLY_DUPLICATE);
	ck_assert_int_eq(answer(4), PROBE_REPLY_FIRST);
	ck_assert_int_eq(answer(3), PROBE_REPLY_FIRST);
	ck_assert_uint_eq(probes.received, 4);
	ck_assert_uint_eq(probes.duplicates, 2);
	ck_assert_uint_eq(probes.reordered, 2);
	ck_assert_uint_eq(probes_awaited(&probes), 0);
}
END_TEST

START_TEST(loses_what_is_not_answered_in_time)
{
	set_up(4);
	ck_assert_double_eq(probes_loss_percent(&probes), 0);
	answer(2);
	ck_assert_ptr_null(probes_expire(&probes, 9));
	ck_assert_uint_eq(probes_expire(&probes, 30)->number, 1);
	ck_assert_uint_eq(probes_expire(&probes, 30)->number, 3);
	ck_assert_ptr_null(probes_expire(&probes, 30));
	ck_assert_uint_eq(probes_oldest(&probes)->number, 4);
	ck_assert_uint_eq(probes.lost, 2);
	ck_assert_uint_eq(probes_awaited(&probes), 1);
	/* Of 1 to 3: the fate of 4 is open. */
	ck_assert_double_eq_tol(probes_loss_percent(&probes), 200.0 / 3, 1e-9);
	ck_assert_int_eq(answer(3), PROBE_REPLY_LATE);
	ck_assert_int_eq(answer(3), PROBE_REPLY_DUPLICATE);
	ck_assert_uint_eq(probes.lost, 1);
	ck_assert_uint_eq(probes.late, 1);
	ck_assert_uint_eq(probes.received, 2);
	answer(4);
	ck_assert_ptr_null(probes_oldest(&probes));
	ck_assert_ptr_null(probes_expire(&probes, INT64_MAX));
}
END_TEST

START_TEST(finds_keys)
{
	set_up(3);
	ck_assert_uint_eq(probes_find_key(&probes, 63)->number, 1);
	ck_assert_uint_eq(probes_find_key(&probes, 191)->number, 3);
	ck_assert_ptr_null(probes_find_key(&probes, 64));
	set_up(0);
	ck_assert_ptr_null(probes_find_key(&probes, 0));
}
END_TEST

START_TEST(drops_keys)
{
	set_up(3);
	for (uint64_t n = 1; n <= 3; n++)
		probes.ring[n].has_key = true;
	probes_drop_keys(&probes);
	for (uint64_t n = 1; n <= 3; n++)
		ck_assert(!probes.ring[n].has_key);
}
END_TEST

START_TEST(the_oldest_make_room)
{
	set_up(PROBES_MAX + 10);
	ck_assert_uint_eq(probes.lost, 10);
	ck_assert_int_eq(answer(10), PROBE_REPLY_UNKNOWN);
	ck_assert_int_eq(answer(11), PROBE_REPLY_FIRST);
	ck_assert_uint_eq(probes_oldest(&probes)->number, 12);
	ck_assert_uint_eq(probes_expire(&probes, 120)->number, 12);
	ck_assert_uint_eq(probes.lost, 11);
	ck_assert_uint_eq(probes_awaited(&probes), PROBES_MAX - 2);
}
END_TEST

/* Each probe is awaited, received or lost, whatever happens. */
START_TEST(the_account_is_always_even)
{
	static bool answered[41000];
	uint64_t received = 0, duplicates = 0;

	set_up(0);
	srandom((unsigned)_i);
	memset(answered, 0, sizeof(answered));
	while (probes.sent < 40000) {
		send_some((uint64_t)random() % (1 + 100 * (uint64_t)_i));
		uint64_t age = (uint64_t)random() % (1 + 40 * (uint64_t)_i);
		if (age < probes.sent) {
			uint64_t number = probes.sent - age;

			answer(number);
			received += !answered[number];
			duplicates += answered[number];
			answered[number] = true;
		}
		while (random() % 4 > 0)
			probes_expire(&probes,
			    (int64_t)probes.sent * 10 - random() % 10000);
		ck_assert_uint_eq(probes.received, received);
		ck_assert_uint_eq(probes.duplicates, duplicates);
		ck_assert_uint_eq(probes.sent,
		    received + probes.lost + probes_awaited(&probes));
	}
	while (probes_expire(&probes, INT64_MAX) != NULL)
		;
	ck_assert_uint_eq(probes_awaited(&probes), 0);
	ck_assert_uint_eq(probes.sent, received + probes.lost);
}
END_TEST

Suite *
probes_suite(void)
{
	Suite *suite = suite_create("probes");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, numbers_begin_at_one);
	tcase_add_test(tests, counts_duplicates_and_order);
	tcase_add_test(tests, loses_what_is_not_answered_in_time);
	tcase_add_test(tests, finds_keys);
	tcase_add_test(tests, drops_keys);
	tcase_add_test(tests, the_oldest_make_room);
	tcase_add_loop_test(tests, the_account_is_always_even, 1, 6);
	suite_add_tcase(suite, tests);
	return suite;
}
