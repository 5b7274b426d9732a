#include <string.h>

#include "config/address.h"
#include "unit/suites.h"

static char address[ADDRESS_MAX], why[ADDRESS_WHY_MAX];

static const struct {
	const char *text, *address;
} good[] = {
	{ "*", "*" },
	{ "127.0.0.1", "127.0.0.1" },
	{ "0.0.0.0", "0.0.0.0" },
	{ "127.1", "127.1" }, /* the resolver takes it */
	{ "127.000.000.001", "127.000.000.001" },
	{ "::1", "::1" },
	{ "[::1]", "::1" },
	{ "::", "::" },
	{ "[2001:db8::1]", "2001:db8::1" },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
	{ "fe80::1%eth0", "fe80::1%eth0" },
	{ "[fe80::1%eth0]", "fe80::1%eth0" },
	{ "localhost", "localhost" },
	{ "my-host.example.com.", "my-host.example.com." },
	{ "a_b", "a_b" },
	{ "4.example", "4.example" },
	{ "b\xc3\xbc"
	  "cher.example",
	    "b\xc3\xbc"
	    "cher.example" },
};

START_TEST(what_can_work_is_taken)
{
	ck_assert_msg(address_parse(good[_i].text, address, why) == 0, "%s",
	    why);
	ck_assert_str_eq(address, good[_i].address);
}
END_TEST

static const struct {
	const char *text, *why;
} bad[] = {
	{ "", "needs \"*\"" },
	{ "300.1.2.3", "not an IPv4 address" },
	{ "1.2.3.4.5", "not an IPv4 address" },
	{ "host.256", "not an IPv4 address" },
	{ "10.0.0.0/8", "is a network" },
	{ "::/0", "is a network" },
	{ "127.0.0.1:7000", "address = \"127.0.0.1\"; port = 7000;" },
	{ "localhost:7000", "address = \"localhost\"; port = 7000;" },
	{ "*:7000", "address = \"*\"; port = 7000;" },
	{ "[::1]:7000", "address = \"[::1]\"; port = 7000;" },
	{ ":7000", "not an IPv6 address" },
	{ "1:2:3", "not an IPv6 address" },
	{ "::1%", "not an IPv6 address" },
	{ "12345::", "not an IPv6 address" },
	{ "[::1", "not an IPv6 address" },
	{ "[]", "not an IP address" },
	{ "[", "not an IP address" },
	{ "7000", "port = 7000;" },
	{ "http://localhost/x", "is a URL: address = \"localhost\";" },
	{ "http://localhost:80/", "is a URL: address = \"localhost\";" },
	{ "/run/a", "path = \"/run/a\"" },
	{ "my host", "a host name has" },
	{ "a..b", "a host name has" },
	{ ".", "a host name has" },
	{ "a,b", "a host name has" },
	{ "\x1b[2J", "a host name has" },
};

START_TEST(what_can_not_work_is_refused)
{
	ck_assert_int_eq(address_parse(bad[_i].text, address, why), -1);
	ck_assert_msg(strstr(why, bad[_i].why) != NULL, "%s", why);
}
END_TEST

START_TEST(long_addresses_are_refused)
{
	char text[1000];

	memset(text, ':', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(address_parse(text, address, why), -1);
	/* A label has at most 63 bytes, a name 255. */
	memset(text, 'a', 64);
	text[64] = '\0';
	ck_assert_int_eq(address_parse(text, address, why), -1);
	text[63] = '\0';
	ck_assert_int_eq(address_parse(text, address, why), 0);
	for (size_t i = 0; i < 128; i++)
		memcpy(text + 2 * i, "a.", 3);
	ck_assert_int_eq(address_parse(text, address, why), -1);
	text[255] = '\0';
	ck_assert_int_eq(address_parse(text, address, why), 0);
}
END_TEST

Suite *
address_suite(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, what_can_work_is_taken, 0,
	    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tests, what_can_not_work_is_refused, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, long_addresses_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
