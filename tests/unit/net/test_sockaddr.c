#include <arpa/inet.h>
#include <string.h>

#include "harness/inet.h"
#include "net/sockaddr.h"
#include "unit/suites.h"

static struct sockaddr_any
named(const char *path, size_t len)
{
	struct sockaddr_any address = { 0 };

	address.un.sun_family = AF_UNIX;
	memcpy(address.un.sun_path, path, len);
	address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return address;
}

static void
assert_text(const struct sockaddr_any *address, bool dual_stack,
    const char *text)
{
	char buffer[SOCKADDR_TEXT_MAX];

	ck_assert_str_eq(sockaddr_text(address, dual_stack, buffer,
			     sizeof(buffer)),
	    text);
}

START_TEST(shows_addresses)
{
	struct sockaddr_any any = inet_address("::", 7),
			    mapped = inet_address("::ffff:1.2.3.4", 7);
	struct sockaddr_any four = inet_address("127.0.0.1", 65535),
			    six = inet_address("::1", 7);
	struct sockaddr_any scoped = inet_address("fe80::1", 7);
	struct sockaddr_any path = named("/run/x", 7),
			    abstract = named("\0ab", 3);
	struct sockaddr_any unnamed = named("", 0);
	struct sockaddr_any forged = named("\0a\n\x1b[\\\xff", 7);

	scoped.in6.sin6_scope_id = 1;
	assert_text(&four, false, "127.0.0.1:65535");
	assert_text(&six, false, "[::1]:7");
	assert_text(&any, true, "*:7");
	assert_text(&any, false, "[::]:7");
	assert_text(&mapped, true, "1.2.3.4:7");
	assert_text(&scoped, false, "[fe80::1%lo]:7");
	assert_text(&path, false, "/run/x");
	assert_text(&abstract, false, "@ab");
	assert_text(&unnamed, false, "unnamed");
	assert_text(&forged, false, "@a\\x0a\\x1b[\\x5c\\xff");
}
END_TEST

START_TEST(the_longest_name_fits)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char text[SOCKADDR_TEXT_MAX];

	memset(path, 0xff, sizeof(path));
	struct sockaddr_any address = named(path, sizeof(path));
	sockaddr_text(&address, false, text, sizeof(text));
	ck_assert_uint_eq(strlen(text), 4 * sizeof(path));
}
END_TEST

START_TEST(tells_kinds)
{
	static const struct {
		const char *ip;
		bool loopback, multicast;
	} cases[] = {
		{ "127.0.0.1", true, false },
		{ "127.255.0.9", true, false },
		{ "128.0.0.1", false, false },
		{ "::1", true, false },
		{ "::ffff:127.0.0.1", true, false },
		{ "::2", false, false },
		{ "224.0.0.1", false, true },
		{ "255.255.255.255", false, true },
		{ "::ffff:239.1.2.3", false, true },
		{ "ff02::1", false, true },
		{ "2001:db8::1", false, false },
	};
	struct sockaddr_any address = inet_address(cases[_i].ip, 1);

	ck_assert(sockaddr_is_loopback(&address) == cases[_i].loopback);
	ck_assert(sockaddr_is_multicast(&address) == cases[_i].multicast);
}
END_TEST

START_TEST(groups_into_networks)
{
	struct sockaddr_any a = inet_address("10.0.0.1", 1),
			    b = inet_address("10.0.0.2", 1);
	struct sockaddr_any mapped = inet_address("::ffff:10.0.0.1", 1);
	struct sockaddr_any c = inet_address("2001:db8:0:1::1", 1);
	struct sockaddr_any d = inet_address("2001:db8:0:1:ffff::2", 1);
	struct sockaddr_any e = inet_address("2001:db8:0:2::1", 1);

	ck_assert_uint_ne(sockaddr_network(&a), sockaddr_network(&b));
	ck_assert_uint_eq(sockaddr_network(&a), sockaddr_network(&mapped));
	ck_assert_uint_eq(sockaddr_network(&c), sockaddr_network(&d));
	ck_assert_uint_ne(sockaddr_network(&c), sockaddr_network(&e));
}
END_TEST

/* They share one /64, and each IPv4 address is also reached without NAT64. */
START_TEST(sees_through_nat64)
{
	struct sockaddr_any a = inet_address("64:ff9b::10.0.0.1", 1);
	struct sockaddr_any b = inet_address("64:ff9b::10.0.0.2", 1);
	struct sockaddr_any ipv4 = inet_address("10.0.0.1", 1);
	struct sockaddr_any other = inet_address("64:ff9b:0:0:0:1:10.0.0.1", 1);
	struct sockaddr_any loopback = inet_address("64:ff9b::127.0.0.1", 1);

	ck_assert_uint_eq(sockaddr_network(&a), sockaddr_network(&ipv4));
	ck_assert_uint_ne(sockaddr_network(&a), sockaddr_network(&b));
	ck_assert_uint_ne(sockaddr_network(&other), sockaddr_network(&ipv4));
	ck_assert(!sockaddr_is_loopback(&loopback));
}
END_TEST

/* All are in fe80::/64, on whatever link. */
START_TEST(tells_link_local_ones_apart)
{
	struct sockaddr_any a = inet_address("fe80::1:2", 1),
			    b = inet_address("fe80::1:3", 1);
	struct sockaddr_any same = inet_address("fe80::1:2", 9), c = a;

	a.in6.sin6_scope_id = b.in6.sin6_scope_id = 2;
	same.in6.sin6_scope_id = 2;
	c.in6.sin6_scope_id = 3;
	ck_assert_uint_eq(sockaddr_network(&a), sockaddr_network(&same));
	ck_assert_uint_ne(sockaddr_network(&a), sockaddr_network(&b));
	ck_assert_uint_ne(sockaddr_network(&a), sockaddr_network(&c));
}
END_TEST

/* Else one could choose an address that takes the places of another source. */
START_TEST(no_link_local_one_counts_as_another_source)
{
	static const struct {
		const char *link_local, *other;
	} cases[] = {
		{ "fe80::3c6e:f372:f4d9:f929", "10.77.1.3" },
		{ "fe80::1c6f:feca:fe94:f82b", "2001:db8:0:1::1" },
		{ "fe80::a00:1", "10.0.0.1" },
		{ "fe80::2001:db8:0:1", "2001:db8:0:1::1" },
	};
	struct sockaddr_any a = inet_address(cases[_i].link_local, 1);
	struct sockaddr_any b = inet_address(cases[_i].other, 1);

	a.in6.sin6_scope_id = _i < 2 ? 2 : 0;
	ck_assert_uint_ne(sockaddr_network(&a), sockaddr_network(&b));
	/* Only link-local ones are in 4000::/3. */
	ck_assert_uint_eq(sockaddr_network(&a) >> 61, 2);
}
END_TEST

START_TEST(compares)
{
	struct sockaddr_any a = inet_address("10.0.0.1", 1),
			    b = inet_address("10.0.0.1", 1);
	struct sockaddr_any c = inet_address("10.0.0.1", 2), d = named("/a", 3);

	ck_assert(sockaddr_equal(&a, &b));
	ck_assert(!sockaddr_equal(&a, &c));
	ck_assert(!sockaddr_equal(&a, &d));
	ck_assert_uint_eq(sockaddr_port(&c), 2);
	ck_assert_uint_eq(sockaddr_port(&d), 0);
}
END_TEST

Suite *
sockaddr_suite(void)
{
	Suite *suite = suite_create("sockaddr");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, shows_addresses);
	tcase_add_test(tests, the_longest_name_fits);
	tcase_add_loop_test(tests, tells_kinds, 0, 11);
	tcase_add_test(tests, groups_into_networks);
	tcase_add_test(tests, sees_through_nat64);
	tcase_add_test(tests, tells_link_local_ones_apart);
	tcase_add_loop_test(tests, no_link_local_one_counts_as_another_source,
	    0, 4);
	tcase_add_test(tests, compares);
	suite_add_tcase(suite, tests);
	return suite;
}
