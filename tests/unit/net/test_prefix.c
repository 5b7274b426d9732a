#include <arpa/inet.h>
#include <string.h>

#include "harness/inet.h"
#include "net/prefix.h"
#include "net/sockaddr.h"
#include "unit/suites.h"

static const struct {
	const char *text, *address;
	int length;
} good[] = {
	{ "192.0.2.0/24", "::ffff:192.0.2.0", 120 },
	{ "192.0.2.1", "::ffff:192.0.2.1", 128 },
	{ "192.0.2.1/32", "::ffff:192.0.2.1", 128 },
	{ "0.0.0.0/0", "::ffff:0.0.0.0", 96 },
	{ "255.255.255.254/31", "::ffff:255.255.255.254", 127 },
	{ "::ffff:192.0.2.0/120", "::ffff:192.0.2.0", 120 },
	{ "2001:db8::/32", "2001:db8::", 32 },
	{ "2001:DB8:8000::/33", "2001:db8:8000::", 33 },
	{ "::1", "::1", 128 },
	{ "::/0", "::", 0 },
	{ "64:ff9b::/32", "64:ff9b::", 32 },
	{ "fe80:1111:2222:3333:4444:5555:192.168.100.200",
	    "fe80:1111:2222:3333:4444:5555:c0a8:64c8", 128 },
};

START_TEST(reads_networks)
{
	struct prefix prefix;
	struct in6_addr address;
	char why[PREFIX_WHY_MAX];

	ck_assert_int_eq(prefix_parse(good[_i].text, &prefix, why), 0);
	ck_assert_int_eq(inet_pton(AF_INET6, good[_i].address, &address), 1);
	ck_assert_mem_eq(&prefix.address, &address, sizeof(address));
	ck_assert_int_eq(prefix.length, good[_i].length);
}
END_TEST

#define NO_ADDRESS "is not an IPv4 or IPv6 address"
#define HOST_BITS(network, address)                                            \
	"has bits set behind its length; did you mean the network "            \
	"\"" network "\" or the address \"" address "\"?"

static const struct {
	const char *text, *why;
} bad[] = {
	{ "", NO_ADDRESS },
	{ "/8", NO_ADDRESS },
	{ " 192.0.2.1", NO_ADDRESS },
	{ "192.0.2.1 ", NO_ADDRESS },
	{ "192.0.2", NO_ADDRESS },
	{ "192.0.2.256", NO_ADDRESS },
	{ "192.0.2.01", NO_ADDRESS },
	{ "2001:db8", NO_ADDRESS },
	{ "fe80::1%lo", NO_ADDRESS },
	{ "[::1]", NO_ADDRESS },
	{ "localhost", NO_ADDRESS },
	{ "/run/client", NO_ADDRESS },
	{ "00:16:3e:00:00:01", NO_ADDRESS },
	{ "1111:2222:3333:4444:5555:6666:255.255.255.255.255", NO_ADDRESS },
	{ "192.0.2.0/", "needs a length from 0 to 32" },
	{ "192.0.2.0/33", "needs a length from 0 to 32" },
	{ "192.0.2.0/-1", "needs a length from 0 to 32" },
	{ "192.0.2.0/24 ", "needs a length from 0 to 32" },
	{ "192.0.2.0/24/24", "needs a length from 0 to 32" },
	{ "192.0.2.0/255.255.255.0", "needs a length from 0 to 32" },
	{ "::/129", "needs a length from 0 to 128" },
	{ "::/4294967297", "needs a length from 0 to 128" },
	{ "192.0.2.1/24", HOST_BITS("192.0.2.0/24", "192.0.2.1") },
	{ "192.0.2.0/22", HOST_BITS("192.0.0.0/22", "192.0.2.0") },
	{ "1.0.0.0/0", HOST_BITS("0.0.0.0/0", "1.0.0.0") },
	{ "2001:db8::1/127", HOST_BITS("2001:db8::/127", "2001:db8::1") },
	{ "2001:db8:8000::/32", HOST_BITS("2001:db8::/32", "2001:db8:8000::") },
	{ "::ffff:192.0.2.0/95",
	    HOST_BITS("::fffe:0:0/95", "::ffff:192.0.2.0") },
	{ "64:ff9b::/96",
	    "is never the address of a client: name its IPv4 address, which "
	    "NAT64 (64:ff9b::/96) makes of it" },
	{ "::ffff:192.0.2.1/120",
	    HOST_BITS("192.0.2.0/24", "::ffff:192.0.2.1") },
	{ "64:ff9b::192.0.2.1/120",
	    "is never the address of a client: name its IPv4 address, which "
	    "NAT64 (64:ff9b::/96) makes of it" },
	{ "64:ff9b::192.0.2.1",
	    "is never the address of a client: name its IPv4 address, which "
	    "NAT64 (64:ff9b::/96) makes of it" },
};

START_TEST(says_what_is_wrong)
{
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];

	ck_assert_int_eq(prefix_parse(bad[_i].text, &prefix, why), -1);
	ck_assert_str_eq(why, bad[_i].why);
}
END_TEST

static const struct {
	const char *prefix, *address;
	bool holds;
} cases[] = {
	{ "192.0.2.0/24", "192.0.2.0", true },
	{ "192.0.2.0/24", "192.0.2.255", true },
	{ "192.0.2.0/24", "192.0.3.0", false },
	{ "192.0.2.0/24", "192.0.1.255", false },
	{ "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.7", true },
	{ "192.0.2.0/24", "64:ff9b::192.0.2.7", true },
	{ "192.0.2.0/24", "64:ff9b::1:192.0.2.7", false },
	{ "192.0.2.7", "192.0.2.7", true },
	{ "192.0.2.7", "192.0.2.6", false },
	{ "0.0.0.0/0", "255.255.255.255", true },
	{ "0.0.0.0/0", "::1", false },
	{ "::/0", "::1", true },
	{ "::/0", "ffff::1", true },
	{ "::/0", "192.0.2.7", false },
	{ "::/0", "::ffff:192.0.2.7", false },
	{ "64:ff9b::/32", "64:ff9b::192.0.2.7", false },
	{ "64:ff9b::/32", "64:ff9b:1::1", true },
	{ "2001:db8::/33", "2001:db8:7fff:ffff::", true },
	{ "2001:db8::/33", "2001:db8:8000::", false },
	{ "2001:db8::/33", "3001:db8::", false },
	{ "::1", "::1", true },
	{ "::1", "::2", false },
};

START_TEST(holds_addresses_of_its_family)
{
	struct sockaddr_any address = inet_address(cases[_i].address, 0);
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];

	ck_assert_int_eq(prefix_parse(cases[_i].prefix, &prefix, why), 0);
	ck_assert_int_eq(prefix_holds(&prefix, &address.any), cases[_i].holds);
}
END_TEST

START_TEST(holds_no_unix_client)
{
	struct sockaddr_un client = { .sun_family = AF_UNIX };
	struct prefix prefix;
	char why[PREFIX_WHY_MAX];

	ck_assert_int_eq(prefix_parse("::/0", &prefix, why), 0);
	ck_assert(!prefix_holds(&prefix, (struct sockaddr *)&client));
}
END_TEST

Suite *
prefix_suite(void)
{
	Suite *suite = suite_create("prefix");
	TCase *tests = tcase_create("prefix");

	suite_add_tcase(suite, tests);
	tcase_add_loop_test(tests, reads_networks, 0,
	    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tests, says_what_is_wrong, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tests, holds_addresses_of_its_family, 0,
	    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, holds_no_unix_client);
	return suite;
}
