#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datagram/loop.h"
#include "unit/suites.h"

#define CTIME "[Sat Nov 21 01:15:00 2026] "
#define RFC3339 "[2026-11-21T01:15:00+00:00] "

static const struct {
	const char *text, *data;
	bool is_loop;
} cases[] = {
	{ CTIME, CTIME CTIME "x", true },
	{ CTIME, CTIME CTIME, true },
	{ CTIME, "[Sun Dec  6 23:59:59 2026] " CTIME "x", true },
	{ CTIME, CTIME RFC3339 CTIME "x", true },
	{ CTIME, RFC3339 CTIME RFC3339 CTIME "x", true },
	{ CTIME, RFC3339 RFC3339 CTIME CTIME, true },
	{ RFC3339, RFC3339 "[2026-07-01T03:00:00-05:30] x", true },
	{ "[1795223700] ", "[1795223701] [1795223702] ", true },
	{ "[%] ", "[%] [%] ", true },
	{ "[09] [05] ", "[19] [55] [19] [54] ", true },
	/* One is legitimate, and these are not ours. */
	{ CTIME, "", false },
	{ CTIME, "x", false },
	{ CTIME, CTIME "x", false },
	{ CTIME, CTIME "[Sat Nov 21 01:15:00 2026]", false },
	{ CTIME, CTIME "x" CTIME, false },
	{ CTIME, CTIME RFC3339 RFC3339 RFC3339 CTIME, false },
	{ CTIME, RFC3339 RFC3339, false },
	{ CTIME, "[[[[ ] ] ] ", false },
	{ CTIME, "[", false },
	{ "[1795223700] ", "[1] [2] ", false },
	{ "[1795223700] ", "[   12.3456] [   12.345] ", false },
};

START_TEST(two_own_stamps_are_a_loop)
{
	/* Of its exact size, so that a sanitizer sees a read beyond it. */
	size_t len = strlen(cases[_i].data);
	char *data = malloc(len);

	memcpy(data, cases[_i].data, len);
	ck_assert_int_eq(loop_is_stamped_twice(cases[_i].text,
			     strlen(cases[_i].text), data, len),
	    cases[_i].is_loop);
	free(data);
}
END_TEST

static struct loop_table table;

static void
start(void)
{
	static const uint64_t seed[LOOP_SEEDS] = { 0x9e3779b97f4a7c15,
		0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9, 0xd6e8feb86659fd93,
		0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3,
		0x589965cc75374cc3, 0x1d8e4e27c47d124f };

	memset(&table, 0, sizeof(table));
	loop_init(&table, seed);
}

static struct sockaddr_any
ipv4(uint32_t ip, uint16_t port)
{
	struct sockaddr_any address = { .len = sizeof(address.in) };

	address.in.sin_family = AF_INET;
	address.in.sin_addr.s_addr = htonl(ip);
	address.in.sin_port = htons(port);
	return address;
}

static bool
is_due(uint32_t ip, uint16_t port, const char *text, uint64_t now_ms)
{
	struct sockaddr_any address = ipv4(ip, port);
	struct loop_run run = { .address = &address, .now_ms = now_ms };

	return loop_is_due(&table, &run, text, strlen(text));
}

START_TEST(one_of_400_repeats_is_dropped)
{
	int dropped = 0, first = -1;

	for (int i = 0; i < 8001; i++) {
		if (!is_due(1, 1, "hello", (uint64_t)i * 1000))
			continue;
		first = first == -1 ? i : first;
		dropped++;
	}
	ck_assert_int_eq(first, 400);
	ck_assert_int_eq(dropped, 20);
}
END_TEST

/* Of period equal ones in a row, one is not a repeat. */
START_TEST(other_data_does_not_reset_the_count)
{
	int period = _i, dropped = 0;
	char text[32];

	for (int i = 0; i < 400 * period; i++) {
		sprintf(text, "answer %d", i / period);
		dropped += is_due(1, 1, text, 0);
	}
	ck_assert_int_eq(dropped, period - 1);
}
END_TEST

START_TEST(numbered_data_is_not_dropped)
{
	char text[64];

	for (int i = 0; i < 20000; i++) {
		sprintf(text, "%s %d of many", _i == 0 ? "datagram" : "", i);
		ck_assert(!is_due(1, 1, text, 0));
	}
}
END_TEST

static uint32_t
note(const struct sockaddr_any *address, const char *data, size_t len)
{
	struct loop_run run = { .address = address };

	loop_is_due(&table, &run, data, len);
	return run.source->repeats;
}

/* Each byte counts, and so does the length. */
START_TEST(data_that_differs_anywhere_is_no_repeat)
{
	struct sockaddr_any address = ipv4(1, 1);
	char data[200] = "";

	for (size_t len = 0; len <= sizeof(data); len++) {
		ck_assert_uint_eq(note(&address, data, len), 0);
		for (size_t i = 0; i < len; i++) {
			data[i]++;
			ck_assert_uint_eq(note(&address, data, len), 0);
		}
		memset(data, 0, len);
	}
	ck_assert_uint_eq(note(&address, data, sizeof(data)), 0);
	ck_assert_uint_eq(note(&address, data, sizeof(data)), 1);
}
END_TEST

/* In one run the data itself is compared, and the next run knows the last. */
START_TEST(a_run_counts_as_single_datagrams)
{
	static const char data[] = "aabbbabb"
				   "abab"
				   "aab";
	static const uint32_t repeats[] = { 0, 1, 1, 2, 3, 3, 3, 4, 4, 4, 4, 4,
		4, 5, 5 };
	struct sockaddr_any address = ipv4(1, 1);

	for (size_t at = 0; at < strlen(data);) {
		struct loop_run run = { .address = &address };
		for (int i = 0; i < _i && at < strlen(data); i++, at++) {
			loop_is_due(&table, &run, data + at, 1);
			ck_assert_uint_eq(run.source->repeats, repeats[at]);
		}
		loop_end(&table, &run);
	}
	struct loop_run none = { .address = &address };
	loop_end(&table, &none);
}
END_TEST

START_TEST(sources_are_counted_apart)
{
	for (int i = 0; i < 400; i++) {
		ck_assert(!is_due(1, 1, "hello", 0));
		ck_assert(!is_due(1, 2, "hello", 0));
		ck_assert(!is_due(2, 1, "hello", 0));
	}
	ck_assert(is_due(1, 1, "hello", 0));
	ck_assert(is_due(1, 2, "hello", 0));
	ck_assert(is_due(2, 1, "hello", 0));
}
END_TEST

START_TEST(ipv6_sources_are_counted_apart)
{
	struct sockaddr_any all[5] = { { .len = sizeof(all[0].in6) } };

	all[0].in6.sin6_family = AF_INET6;
	for (int i = 1; i < 5; i++)
		all[i] = all[0];
	all[1].in6.sin6_addr.s6_addr[0] = 1;
	all[2].in6.sin6_addr.s6_addr[15] = 1;
	all[3].in6.sin6_port = 1;
	all[4].in6.sin6_scope_id = 1;
	for (uint32_t turn = 0; turn < 10; turn++)
		for (int i = 0; i < 5; i++)
			ck_assert_uint_eq(note(&all[i], "hello", 5), turn);
}
END_TEST

static size_t
set_of(uint32_t ip)
{
	struct sockaddr_any address = ipv4(ip, 1);
	struct loop_run run = { .address = &address };

	loop_is_due(&table, &run, "", 0);
	return (size_t)(run.source - table.sources[0]) / LOOP_WAYS;
}

#define LOOP 0xc0000201 /* 192.0.2.1 */

#define FLOOD 64
#define NEIGHBOURS (2 * FLOOD)

/* Sources that have their entries in the same set as the loop. */
static uint32_t neighbours[NEIGHBOURS];

/* Leaves the table empty. */
static void
find_neighbours(void)
{
	size_t set = set_of(LOOP);
	int count = 0;

	for (uint32_t ip = 1; count < NEIGHBOURS; ip++)
		if (set_of(ip) == set)
			neighbours[count++] = ip;
	start();
}

/*
 * A loop with 192.0.2.1 in a flood: datagrams of other sources that have their
 * entries in the same set come gap_ms apart on average; after period of them
 * comes one of the loop.
 */
static void
end_loop(uint64_t now_ms, int gap_ms, int period)
{
	bool has_ended = false;
	char text[32];

	for (int i = 0, turns = 0; !has_ended; i++) {
		now_ms += (uint64_t)(rand() % (2 * gap_ms + 1));
		sprintf(text, "forged %d", i);
		is_due(neighbours[i % FLOOD], 1, text, now_ms);
		/* The flood begins first. */
		if (i < 20 * LOOP_QUIET_MS / gap_ms || i % period != 0)
			continue;
		has_ended = is_due(LOOP, 1, "hello", now_ms);
		ck_assert_int_le(++turns, 1000);
	}
}

/* 25 a second and set are 100,000 a second in all; a turn in 40 ms to 4 s. */
START_TEST(a_flood_of_sources_does_not_keep_a_loop_going)
{
	static const int periods[] = { 1, 5, 25, 100 };

	find_neighbours();
	end_loop(100000, 40, periods[_i]);
}
END_TEST

/* Sources that repeated themselves and went away make room again. */
START_TEST(quiet_sources_do_not_keep_a_loop_going)
{
	find_neighbours();
	for (int at = FLOOD; at < NEIGHBOURS; at++)
		for (int i = 0; i < 300; i++)
			is_due(neighbours[at], 1, "hello", 100000);
	end_loop(100000 + LOOP_QUIET_MS, 10, 1);
}
END_TEST

Suite *
loop_suite(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_loop_test(tests, two_own_stamps_are_a_loop, 0,
	    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, one_of_400_repeats_is_dropped);
	tcase_add_loop_test(tests, other_data_does_not_reset_the_count, 1, 4);
	tcase_add_loop_test(tests, numbered_data_is_not_dropped, 0, 2);
	tcase_add_test(tests, data_that_differs_anywhere_is_no_repeat);
	tcase_add_loop_test(tests, a_run_counts_as_single_datagrams, 1, 17);
	tcase_add_test(tests, sources_are_counted_apart);
	tcase_add_test(tests, ipv6_sources_are_counted_apart);
	tcase_add_loop_test(tests,
	    a_flood_of_sources_does_not_keep_a_loop_going, 0, 4);
	tcase_add_test(tests, quiet_sources_do_not_keep_a_loop_going);
	suite_add_tcase(suite, tests);
	return suite;
}
