#include <arpa/inet.h>
#include <string.h>

#include "address.h"
#include "suites.h"

static struct address
inet(const char *ip, uint16_t port)
{
	struct address address = { 0 };

	if (strchr(ip, ':') != NULL) {
		address.len = sizeof(address.in6);
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons(port);
		ck_assert_int_eq(inet_pton(AF_INET6, ip,
				     &address.in6.sin6_addr),
		    1);
	} else {
		address.len = sizeof(address.in);
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
		ck_assert_int_eq(inet_pton(AF_INET, ip, &address.in.sin_addr),
		    1);
	}
	return address;
}

static struct address
named(const char *path, size_t len)
{
	struct address address = { 0 };

	address.un.sun_family = AF_UNIX;
	memcpy(address.un.sun_path, path, len);
	address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return address;
}

static void
assert_text(const struct address *address, bool dual_stack, const char *text)
{
	char buffer[ADDRESS_TEXT_MAX];

	ck_assert_str_eq(address_text(address, dual_stack, buffer,
			     sizeof(buffer)),
	    text);
}

START_TEST(shows_addresses)
{
	struct address any = inet("::", 7), mapped = inet("::ffff:1.2.3.4", 7);
	struct address four = inet("127.0.0.1", 65535), six = inet("::1", 7);
	struct address scoped = inet("fe80::1", 7);
	struct address path = named("/run/x", 7), abstract = named("\0ab", 3);
	struct address unnamed = named("", 0);
	struct address forged = named("\0a\n\x1b[\\\xff", 7);

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
	char text[ADDRESS_TEXT_MAX];

	memset(path, 0xff, sizeof(path));
	struct address address = named(path, sizeof(path));
	address_text(&address, false, text, sizeof(text));
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
	struct address address = inet(cases[_i].ip, 1);

	ck_assert(address_is_loopback(&address) == cases[_i].loopback);
	ck_assert(address_is_multicast(&address) == cases[_i].multicast);
}
END_TEST

START_TEST(groups_into_networks)
{
	struct address a = inet("10.0.0.1", 1), b = inet("10.0.0.2", 1);
	struct address mapped = inet("::ffff:10.0.0.1", 1);
	struct address c = inet("2001:db8:0:1::1", 1);
	struct address d = inet("2001:db8:0:1:ffff::2", 1);
	struct address e = inet("2001:db8:0:2::1", 1);

	ck_assert_uint_ne(address_network(&a), address_network(&b));
	ck_assert_uint_eq(address_network(&a), address_network(&mapped));
	ck_assert_uint_eq(address_network(&c), address_network(&d));
	ck_assert_uint_ne(address_network(&c), address_network(&e));
}
END_TEST

/* All are in fe80::/64, on whatever link. */
START_TEST(tells_link_local_ones_apart)
{
	struct address a = inet("fe80::1:2", 1), b = inet("fe80::1:3", 1);
	struct address same = inet("fe80::1:2", 9), c = a;

	a.in6.sin6_scope_id = b.in6.sin6_scope_id = 2;
	same.in6.sin6_scope_id = 2;
	c.in6.sin6_scope_id = 3;
	ck_assert_uint_eq(address_network(&a), address_network(&same));
	ck_assert_uint_ne(address_network(&a), address_network(&b));
	ck_assert_uint_ne(address_network(&a), address_network(&c));
}
END_TEST

START_TEST(compares)
{
	struct address a = inet("10.0.0.1", 1), b = inet("10.0.0.1", 1);
	struct address c = inet("10.0.0.1", 2), d = named("/a", 3);

	ck_assert(address_equal(&a, &b));
	ck_assert(!address_equal(&a, &c));
	ck_assert(!address_equal(&a, &d));
	ck_assert_uint_eq(address_port(&c), 2);
	ck_assert_uint_eq(address_port(&d), 0);
}
END_TEST

Suite *
address_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, shows_addresses);
	tcase_add_test(tests, the_longest_name_fits);
	tcase_add_loop_test(tests, tells_kinds, 0, 11);
	tcase_add_test(tests, groups_into_networks);
	tcase_add_test(tests, tells_link_local_ones_apart);
	tcase_add_test(tests, compares);
	suite_add_tcase(suite, tests);
	return suite;
}
