#include <stdlib.h>

#include "datagram/ratelimit.h"
#include "unit/suites.h"

static struct ratelimit limit;

static void
set_up(int rate, int burst)
{
	static const uint64_t seed[3] = { 0xd1b54a32d192ed03,
		0x8cb92ba72f3d8dd7, 0x9e6c63d0876a9a47 };

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

/* The set that has a network. */
static int
set_of(const struct ratelimit *of, uint64_t network)
{
	for (int set = 0; set < RATELIMIT_SETS; set++)
		for (int way = 0; way < RATELIMIT_WAYS; way++)
			if (of->buckets[set][way].network == network)
				return set;
	return -1;
}

/* Each word of the seed counts: nobody knows the set of a network. */
START_TEST(sets_are_secret)
{
	static struct ratelimit limits[3];
	static const uint64_t seeds[3][3] = {
		{ 0xd1b54a32d192ed03, 0x8cb92ba72f3d8dd7, 1 },
		{ 0x9e6c63d0876a9a47, 0x8cb92ba72f3d8dd7, 1 },
		{ 0xd1b54a32d192ed03, 0x2545f4914f6cdd1d, 1 },
	};
	int same[3] = { 0 };

	for (int i = 0; i < 3; i++) {
		ratelimit_init(&limits[i], seeds[i]);
		ratelimit_configure(&limits[i], 1, 1);
		for (uint64_t network = 1; network <= 100; network++) {
			ratelimit_allow(&limits[i], network, 1);
			same[i] += set_of(&limits[i], network) ==
			           set_of(&limits[0], network);
		}
	}
	ck_assert_int_lt(same[1], 10);
	ck_assert_int_lt(same[2], 10);
}
END_TEST

START_TEST(burst_then_leak)
{
	set_up(10000, 50);
	ck_assert_int_eq(allowed_of(50, 1, 1000), 50);
	int leaked = allowed_of(16000, 1, 1000);
	ck_assert_int_gt(leaked, 500);
	ck_assert_int_lt(leaked, 2000);
}
END_TEST

/* However many are tried, a quarter of the rate is added to it. */
START_TEST(the_leak_is_capped)
{
	static const struct {
		int rate, step_ms, tries, most;
	} cases[] = { { 100, 10, 1000, 125 }, { 1000, 1, 100, 1250 },
		{ 2, 10, 1000, 3 }, { 1, 10, 1000, 2 } };
	int allowed = 0;

	set_up(cases[_i].rate, 1);
	allowed_of(100000, 1, 1);
	for (uint64_t ms = 2; ms <= 20001; ms += (uint64_t)cases[_i].step_ms)
		allowed += allowed_of(cases[_i].tries, 1, ms);
	ck_assert_int_le(allowed, 20 * cases[_i].most);
	ck_assert_int_gt(allowed, 20 * cases[_i].rate);
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

START_TEST(a_bucket_that_is_not_full_stays)
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

/*
 * Plays seconds of 100 datagrams a millisecond, runs of a victim's and of others
 * in turn; returns how many of the victim were allowed.
 */
static int
flood(int seconds, uint64_t victim_run, uint64_t others_run)
{
	static uint64_t sent;
	int allowed = 0;

	for (int i = 0; i < seconds * 100000; i++, sent++) {
		bool is_victim = sent % (victim_run + others_run) < victim_run;
		uint64_t network = is_victim ? 1 : 1000 + sent % 200000;
		bool is_allowed = ratelimit_allow(&limit, network,
		    1 + sent / 100);
		allowed += is_victim && is_allowed;
	}
	return allowed;
}

START_TEST(others_do_not_make_room_for_a_victim)
{
	static const struct {
		uint64_t victim_run, others_run;
	} cases[] = { { 1, 0 }, { 1, 1 }, { 1, 9 }, { 600, 6000 },
		{ 2000, 9000 }, { 10000, 90000 } };

	set_up(1000, 1000);
	flood(2, cases[_i].victim_run, cases[_i].others_run);
	int allowed = flood(5, cases[_i].victim_run, cases[_i].others_run);
	ck_assert_int_le(allowed, 5 * 1250 + 250);
	/* The victim's own requests are among them. */
	ck_assert_int_ge(allowed, 5 * 900);
}
END_TEST

START_TEST(a_newcomer_gets_its_burst_beside_a_flood)
{
	int allowed = 0;

	set_up(1000, 1000);
	for (uint64_t i = 0; i < 400000; i++) {
		uint64_t ms = 1 + i / 100;

		ratelimit_allow(&limit, 1000 + i % 200000, ms);
		ratelimit_allow(&limit, 1, ms); /* a victim */
		if (i % 10000 == 0)
			allowed += allowed_of(100, 500000 + i, ms);
	}
	ck_assert_int_eq(allowed, 40 * 100);
}
END_TEST

/* More networks than buckets, all empty: together they get what these have. */
START_TEST(the_table_allows_what_its_buckets_have)
{
	enum { BUCKETS = RATELIMIT_SETS * RATELIMIT_WAYS };
	int allowed = 0;

	set_up(10, 10);
	for (uint64_t network = 1; network <= 10 * BUCKETS; network++)
		allowed += allowed_of(100, network, 1);
	ck_assert_int_le(allowed, BUCKETS * (10 + 2));
	/* A network without a bucket of its own draws from one, not from eight. */
	int newcomer = allowed_of(100, 1000000, 1000);
	ck_assert_int_gt(newcomer, 5);
	ck_assert_int_le(newcomer, 10 + 2);
}
END_TEST

START_TEST(a_new_rate_holds_at_once)
{
	set_up(1000, 1000);
	ck_assert_int_eq(allowed_of(400, 1, 1), 400);
	ratelimit_configure(&limit, 4, 100); /* 600 are left */
	ck_assert_int_le(allowed_of(100000, 1, 1), 100 + 1);
	ck_assert_int_le(allowed_of(100000, 1, 1001), 4 + 1);
	ratelimit_configure(&limit, 100, 1000);
	ck_assert_int_ge(allowed_of(100000, 1, 2001), 100);
	ratelimit_configure(&limit, 0, 1000);
	ck_assert_int_eq(allowed_of(100000, 1, 2001), 100000);
	ratelimit_configure(&limit, 100, 50);
	ck_assert_int_le(allowed_of(1000, 1, 2001), 25);
	ck_assert_int_ge(allowed_of(1000, 1, 5001), 50);
}
END_TEST

START_TEST(no_limit)
{
	set_up(0, 1);
	ck_assert_int_eq(allowed_of(100000, 1, 0), 100000);
}
END_TEST

/* A host may have been started a moment ago. */
START_TEST(buckets_are_full_at_the_start)
{
	set_up(1, 50);
	ck_assert_int_eq(allowed_of(50, 1, 0), 50);
	ck_assert_int_eq(allowed_of(50, 2, 1), 50);
}
END_TEST

START_TEST(clock_wraps)
{
	set_up(1000, 10);
	ck_assert_int_eq(allowed_of(10, 1, UINT32_MAX - 1), 10);
	ck_assert_int_eq(allowed_of(10, 1, (uint64_t)UINT32_MAX + 20), 10);
	/* Its 2 leaks are used up as well, and come again with time. */
	set_up(8, 1);
	allowed_of(1000, 1, UINT32_MAX - 500);
	ck_assert_int_eq(allowed_of(1000, 1, UINT32_MAX - 499), 0);
	ck_assert_int_eq(allowed_of(1000, 1, (uint64_t)UINT32_MAX + 501),
	    1 + 2);
}
END_TEST

Suite *
ratelimit_suite(void)
{
	Suite *suite = suite_create("ratelimit");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, sets_are_secret);
	tcase_add_test(tests, burst_then_leak);
	tcase_add_loop_test(tests, the_leak_is_capped, 0, 4);
	tcase_add_test(tests, refills_with_time);
	tcase_add_test(tests, sources_do_not_share);
	tcase_add_test(tests, a_bucket_that_is_not_full_stays);
	tcase_add_loop_test(tests, others_do_not_make_room_for_a_victim, 0, 6);
	tcase_add_test(tests, a_newcomer_gets_its_burst_beside_a_flood);
	tcase_add_test(tests, the_table_allows_what_its_buckets_have);
	tcase_add_test(tests, a_new_rate_holds_at_once);
	tcase_add_test(tests, no_limit);
	tcase_add_test(tests, buckets_are_full_at_the_start);
	tcase_add_test(tests, clock_wraps);
	suite_add_tcase(suite, tests);
	return suite;
}
