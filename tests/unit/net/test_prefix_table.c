#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/prefix_table.h"
#include "net/sockaddr.h"
#include "unit/suites.h"

#define RANDOM_PREFIXES 300
#define RANDOM_ADDRESSES 3000

static struct prefix_entry entries[RANDOM_PREFIXES];
static size_t count;
static struct prefix_table *table;

static void
add(const char *text, bool value)
{
	struct prefix_entry *entry = &entries[count++];
	char why[PREFIX_WHY_MAX];

	*entry = (struct prefix_entry){ .value = value, .file = "list" };
	ck_assert_int_eq(prefix_parse(text, &entry->prefix, why), 0);
}

static void
build(void)
{
	prefix_table_sort(entries, count);
	table = prefix_table_new(entries, count);
	ck_assert_ptr_nonnull(table);
}

static void
tear_down(void)
{
	prefix_table_free(table);
	table = NULL;
	count = 0;
}

static void
assert_match(const char *ip, int length, bool value)
{
	struct in6_addr address;

	ck_assert_int_eq(inet_pton(AF_INET6, ip, &address), 1);
	struct prefix_match match = prefix_table_find(table, &address);
	ck_assert_msg(match.length == length && match.value == value,
	    "%s: %d, not %d, or its value", ip, match.length, length);
}

START_TEST(holds_nothing_when_empty)
{
	build();
	assert_match("::", -1, false);
	assert_match("::ffff:192.0.2.1", -1, false);
	assert_match("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", -1, false);
}
END_TEST

START_TEST(finds_the_longest)
{
	add("10.0.0.0/8", true);
	add("10.1.0.0/16", false);
	add("10.1.2.0/24", true);
	add("10.1.2.3", false);
	add("10.1.255.255", true);
	build();
	assert_match("::ffff:9.255.255.255", -1, false);
	assert_match("::ffff:10.0.0.0", 104, true);
	assert_match("::ffff:10.0.255.255", 104, true);
	assert_match("::ffff:10.1.0.0", 112, false);
	assert_match("::ffff:10.1.2.2", 120, true);
	assert_match("::ffff:10.1.2.3", 128, false);
	assert_match("::ffff:10.1.2.4", 120, true);
	assert_match("::ffff:10.1.3.0", 112, false);
	assert_match("::ffff:10.1.255.255", 128, true);
	assert_match("::ffff:10.2.0.0", 104, true);
	assert_match("::ffff:11.0.0.0", -1, false);
}
END_TEST

START_TEST(keeps_the_families_apart)
{
	add("::/0", true);
	add("::/64", false);
	build();
	assert_match("::1", 64, false);
	assert_match("::ffff:0.0.0.0", -1, false);
	assert_match("::ffff:255.255.255.255", -1, false);
	assert_match("::fffe:ffff:ffff", 64, false);
	assert_match("::1:0:0:0", 64, false);
	assert_match("0:0:0:1::", 0, true);
	assert_match("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0, true);
}
END_TEST

START_TEST(holds_all_of_ipv4)
{
	add("::/0", true);
	add("0.0.0.0/0", false);
	add("255.255.255.255", true);
	build();
	assert_match("::fffe:ffff:ffff", 0, true);
	assert_match("::ffff:0.0.0.0", 96, false);
	assert_match("::ffff:255.255.255.254", 96, false);
	assert_match("::ffff:255.255.255.255", 128, true);
	assert_match("::1:0:0:0", 0, true);
}
END_TEST

START_TEST(finds_both_ends)
{
	add("::", true);
	add("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true);
	add("2001:db8:0:1::/64", true);
	add("2001:db8:0:1::/65", false);
	build();
	assert_match("::", 128, true);
	assert_match("::1", -1, false);
	assert_match("2001:db8:0:0:ffff:ffff:ffff:ffff", -1, false);
	assert_match("2001:db8:0:1::", 65, false);
	assert_match("2001:db8:0:1:8000::", 64, true);
	assert_match("2001:db8:0:1:ffff:ffff:ffff:ffff", 64, true);
	assert_match("2001:db8:0:2::", -1, false);
	assert_match("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", -1, false);
	assert_match("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, true);
}
END_TEST

/* An address of few bits, so that many prefixes hold it. */
static struct in6_addr
make_address(bool is_ipv4)
{
	struct in6_addr address = { .s6_addr = { 0x20 } };

	for (int i = 1; i < 16; i++)
		address.s6_addr[i] = rand() % 4 == 0 ? 0x80 : 0;
	if (is_ipv4)
		memcpy(&address, (uint8_t[12]){ [10] = 0xff, [11] = 0xff }, 12);
	return address;
}

static struct sockaddr_any
as_sockaddr(const struct in6_addr *address)
{
	struct sockaddr_any any = { .len = sizeof(any.in6) };

	any.in6.sin6_family = AF_INET6;
	any.in6.sin6_addr = *address;
	return any;
}

static void
add_random(void)
{
	bool is_ipv4 = rand() % 2;
	struct in6_addr address = make_address(is_ipv4);
	char text[INET6_ADDRSTRLEN + 8], full[INET6_ADDRSTRLEN];
	int length = rand() % 129;
	char why[PREFIX_WHY_MAX];
	struct prefix_entry *entry = &entries[count];

	if (is_ipv4)
		length = 96 + length % 33;
	for (int i = length; i < 128; i++)
		address.s6_addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	inet_ntop(AF_INET6, &address, full, sizeof(full));
	snprintf(text, sizeof(text), "%s/%d", full, length);
	*entry = (struct prefix_entry){ .value = rand() % 2, .file = "list" };
	ck_assert_int_eq(prefix_parse(text, &entry->prefix, why), 0);
	for (size_t i = 0; i < count; i++)
		if (entries[i].prefix.length == entry->prefix.length &&
		    memcmp(&entries[i].prefix.address, &entry->prefix.address,
			sizeof(address)) == 0)
			return;
	count++;
}

/* The longest of all that prefix_holds. */
static struct prefix_match
find_slowly(const struct in6_addr *address)
{
	struct sockaddr_any any = as_sockaddr(address);
	struct prefix_match best = { -1, false };

	for (size_t i = 0; i < count; i++)
		if (prefix_holds(&entries[i].prefix, &any.any) &&
		    entries[i].prefix.length > best.length)
			best = (struct prefix_match){ entries[i].prefix.length,
				entries[i].value };
	return best;
}

START_TEST(agrees_with_a_walk_over_all)
{
	srand((unsigned)_i + 1);
	for (int i = 0; i < RANDOM_PREFIXES / (_i + 1); i++)
		add_random();
	build();
	for (int i = 0; i < RANDOM_ADDRESSES; i++) {
		struct in6_addr address = make_address(rand() % 2);
		struct prefix_match match = prefix_table_find(table, &address),
				    expected = find_slowly(&address);
		ck_assert_int_eq(match.length, expected.length);
		ck_assert_int_eq(match.value, expected.value);
	}
}
END_TEST

START_TEST(sorts_by_place_what_is_twice)
{
	add("10.0.0.0/8", true);
	entries[0].line = 7;
	add("10.0.0.0/8", false);
	entries[1].line = 3;
	add("10.0.0.0/8", false);
	entries[2].file = "a";
	add("10.0.0.0/7", false);
	prefix_table_sort(entries, count);
	ck_assert_int_eq(entries[0].prefix.length, 103);
	ck_assert_str_eq(entries[1].file, "a");
	ck_assert_uint_eq(entries[2].line, 3);
	ck_assert_uint_eq(entries[3].line, 7);
}
END_TEST

Suite *
prefix_table_suite(void)
{
	Suite *suite = suite_create("prefix_table");
	TCase *tests = tcase_create("prefix_table");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests, holds_nothing_when_empty);
	tcase_add_test(tests, finds_the_longest);
	tcase_add_test(tests, keeps_the_families_apart);
	tcase_add_test(tests, holds_all_of_ipv4);
	tcase_add_test(tests, finds_both_ends);
	tcase_add_loop_test(tests, agrees_with_a_walk_over_all, 0, 6);
	tcase_add_test(tests, sorts_by_place_what_is_twice);
	return suite;
}
