#include <arpa/inet.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "harness/caught.h"
#include "harness/daemon.h"
#include "harness/inet.h"
#include "stream/sources.h"
#include "unit/suites.h"

static struct sources sources;

static void
empty(void)
{
	sources_free(&sources);
}

/* Counts one more, and returns the count; NULL: max are open. */
static _Atomic int *
take(const char *text, int max)
{
	struct sockaddr_any peer = inet_address(text, 0);
	_Atomic int *count;

	return sources_take(&sources, &peer, max, &count) ? count : NULL;
}

START_TEST(one_address_or_network_has_one_count)
{
	_Atomic int *ipv4 = take("::ffff:192.0.2.7", 0);
	ck_assert_int_eq(*ipv4, 1);
	_Atomic int *ipv6 = take("2001:db8:1:2::1", 0);
	ck_assert_int_eq(*ipv6, 1);

	ck_assert_ptr_eq(take("::ffff:192.0.2.7", 0), ipv4);
	ck_assert_ptr_ne(take("::ffff:192.0.2.8", 0), ipv4);
	ck_assert_ptr_eq(take("2001:db8:1:2:ffff::9", 0), ipv6);
	ck_assert_ptr_ne(take("2001:db8:1:3::1", 0), ipv6);
	ck_assert_int_eq(*ipv4, 2);
}
END_TEST

START_TEST(the_maximum_is_held)
{
	_Atomic int *count = take("2001:db8:1:2::1", 2);
	ck_assert_ptr_eq(take("2001:db8:1:2::2", 2), count);
	ck_assert_ptr_null(take("2001:db8:1:2::3", 2));
	ck_assert_int_eq(*count, 2);
	ck_assert_ptr_nonnull(take("2001:db8:1:3::1", 2));
	--*count;
	ck_assert_ptr_eq(take("2001:db8:1:2::3", 2), count);
}
END_TEST

START_TEST(loopback_and_unix_clients_count_for_none)
{
	struct sockaddr_any peers[] = { inet_address("::1", 0),
		inet_address("::ffff:127.0.0.2", 0),
		{ .any.sa_family = AF_UNIX } };

	for (size_t i = 0; i < 6; i++) {
		_Atomic int *count = (void *)peers;
		ck_assert(sources_take(&sources, &peers[i % 3], 1, &count));
		ck_assert_ptr_null(count);
	}
}
END_TEST

#define THREADS 4
/* Memcheck runs a thread at a time: it meets no more in more rounds. */
#define TAKES (daemon_is_wrapped() ? 1000U : 20000U)

static void *
take_and_leave(void *arg)
{
	struct sockaddr_any peer = inet_address("2001:db8::1", 0);
	uint32_t number = *(uint32_t *)arg;
	uint32_t takes = TAKES;
	_Atomic int *count;

	for (uint32_t i = 0; i < takes; i++) {
		peer.in6.sin6_addr.s6_addr32[1] = htonl(number << 16 | i % 9);
		ck_assert(sources_take(&sources, &peer, 1, &count));
		ck_assert_int_eq(*count, 1);
		--*count;
	}
	return NULL;
}

/* Each has its own networks, so nobody finds one taken. */
START_TEST(threads_count_at_the_same_time)
{
	pthread_t threads[THREADS];
	uint32_t numbers[THREADS];

	for (uint32_t i = 0; i < THREADS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
				     take_and_leave, &numbers[i]),
		    0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

/* sockaddr_network gives both the same number. */
START_TEST(link_local_addresses_have_counts_of_their_own)
{
	struct sockaddr_any a = inet_address("fe80::1:3", 0),
			    b = inet_address("fe80::1:2", 0);

	a.in6.sin6_scope_id = 2;
	b.in6.sin6_scope_id = 3;
	ck_assert_uint_eq(sockaddr_network(&a), sockaddr_network(&b));
	_Atomic int *count, *other;
	ck_assert(sources_take(&sources, &a, 1, &count));
	ck_assert(sources_take(&sources, &b, 1, &other));
	ck_assert_ptr_ne(other, count);
	ck_assert(!sources_take(&sources, &a, 1, &other));
}
END_TEST

/* Counts stay while connections are open, whoever comes and goes besides. */
START_TEST(memory_is_bounded)
{
	struct sockaddr_any peer = inet_address("2001:db8::1", 0);
	_Atomic int *kept = take("2001:db9::1", 0), *count;
	size_t before = 0;

	/* Many more than there are chains, then as many again. */
	for (uint32_t i = 0; i < 200000; i++) {
		peer.in6.sin6_addr.s6_addr32[1] = htonl(i);
		ck_assert(sources_take(&sources, &peer, 0, &count));
		ck_assert_int_eq((*count)--, 1);
		if (i == 100000)
			before = mallinfo2().uordblks;
	}
	ck_assert_uint_le(mallinfo2().uordblks, before + before / 10);
	ck_assert_ptr_eq(take("2001:db9::1", 0), kept);
	ck_assert_int_eq(*kept, 2);
}
END_TEST

/* Clients cause the line: it comes once a minute at most. */
START_TEST(a_warning_comes_once_a_minute)
{
	caught_begin();
	sources_warn(&sources, 3);
	ck_assert_ptr_nonnull(strstr(caught_text(),
	    "warning: an address has max_connections_per_address (3) "));
	sources_warn(&sources, 3);
	ck_assert_int_eq(caught_lines(), 0);
	sources.warned_ms = clock_ms() - 60000;
	sources_warn(&sources, 3);
	ck_assert_int_eq(caught_lines(), 1);
	sources_warn(&sources, 3);
	ck_assert_int_eq(caught_lines(), 0);
	caught_end();
}
END_TEST

Suite *
sources_suite(void)
{
	Suite *suite = suite_create("sources");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, NULL, empty);
	tcase_add_test(tests, one_address_or_network_has_one_count);
	tcase_add_test(tests, link_local_addresses_have_counts_of_their_own);
	tcase_add_test(tests, the_maximum_is_held);
	tcase_add_test(tests, loopback_and_unix_clients_count_for_none);
	tcase_add_test(tests, threads_count_at_the_same_time);
	tcase_add_test(tests, a_warning_comes_once_a_minute);
	tcase_add_test(tests, memory_is_bounded);
	suite_add_tcase(suite, tests);
	return suite;
}
