#include <arpa/inet.h>
#include <malloc.h>

#include "stream/sources.h"
#include "unit/suites.h"

static struct sources sources;

static void
empty(void)
{
	sources_free(&sources);
}

static struct sockaddr_any
address(const char *text)
{
	struct sockaddr_any peer = { 0 };

	peer.any.sa_family = AF_INET6;
	peer.len = sizeof(peer.in6);
	ck_assert_int_eq(inet_pton(AF_INET6, text, &peer.in6.sin6_addr), 1);
	return peer;
}

static _Atomic int *
find(const char *text)
{
	struct sockaddr_any peer = address(text);

	return sources_find(&sources, &peer);
}

START_TEST(one_address_or_network_has_one_count)
{
	_Atomic int *ipv4 = find("::ffff:192.0.2.7");
	ck_assert_int_eq((*ipv4)++, 0);
	_Atomic int *ipv6 = find("2001:db8:1:2::1");
	ck_assert_int_eq((*ipv6)++, 0);

	ck_assert_ptr_eq(find("::ffff:192.0.2.7"), ipv4);
	ck_assert_ptr_ne(find("::ffff:192.0.2.8"), ipv4);
	ck_assert_ptr_eq(find("2001:db8:1:2:ffff::9"), ipv6);
	ck_assert_ptr_ne(find("2001:db8:1:3::1"), ipv6);
	ck_assert_int_eq(*ipv4, 1);
}
END_TEST

/* sockaddr_network gives both the same number. */
START_TEST(link_local_addresses_have_counts_of_their_own)
{
	struct sockaddr_any a = address("fe80::1:3"), b = address("fe80::1:2");

	a.in6.sin6_scope_id = 2;
	b.in6.sin6_scope_id = 3;
	ck_assert_uint_eq(sockaddr_network(&a), sockaddr_network(&b));
	_Atomic int *count = sources_find(&sources, &a);
	++*count;
	ck_assert_ptr_ne(sources_find(&sources, &b), count);
	ck_assert_ptr_eq(sources_find(&sources, &a), count);
}
END_TEST

/* Counts stay while connections are open, whoever comes and goes besides. */
START_TEST(memory_is_bounded)
{
	struct sockaddr_any peer = address("2001:db8::1");
	_Atomic int *kept = find("2001:db9::1");
	size_t before = 0;

	++*kept;
	for (uint32_t i = 0; i < 1000000; i++) {
		peer.in6.sin6_addr.s6_addr32[1] = htonl(i);
		_Atomic int *count = sources_find(&sources, &peer);
		ck_assert_int_eq((*count)++, 0);
		--*count;
		if (i == 200000)
			before = mallinfo2().uordblks;
	}
	ck_assert_uint_le(mallinfo2().uordblks, before + before / 10);
	ck_assert_ptr_eq(find("2001:db9::1"), kept);
	ck_assert_int_eq(*kept, 1);
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
	tcase_add_test(tests, memory_is_bounded);
	suite_add_tcase(suite, tests);
	return suite;
}
