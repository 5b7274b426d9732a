#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "harness/inet.h"
#include "harness/scratch.h"
#include "net/sockaddr.h"
#include "unit/config/complaints.h"
#include "unit/suites.h"

#define MANY 100000
#define LOOKUPS 1000000

static struct config *config;

static void
load(const char *text)
{
	struct config_source source = { .path = "main" };

	scratch_write("main", text);
	complaints_load(&config, &source);
}

static void
leave(void)
{
	config_free(config);
	config = NULL;
	scratch_leave();
}

/* By the lists of the first listener, or those for all if it has none. */
static void
assert_allowed(const char *ip, bool is_allowed)
{
	const struct access *access = config->listeners[0].access;
	struct sockaddr_any client = inet_address(ip, 0);

	if (access == NULL)
		access = config->access;
	ck_assert_msg(access_allows(access, &client.any) == is_allowed, "%s",
	    ip);
}

#define LISTENER(lists) "listeners = ( { protocol = \"tcp\"; " lists " } );\n"

/* Which of the clients are served. */
static const struct {
	const char *text, *served, *refused;
} cases[] = {
	{ "", "127.0.0.1 192.0.2.1 ::1", "" },
	{ "allow = []; deny = [];", "127.0.0.1 ::1", "" },
	{ "allow = [ \"192.0.2.0/24\" ];",
	    "192.0.2.0 192.0.2.255 ::ffff:192.0.2.1 64:ff9b::192.0.2.1",
	    "192.0.3.0 ::1 127.0.0.1 2001:db8::1 64:ff9b::192.0.3.0" },
	{ "deny = [ \"192.0.2.0/24\" ];", "192.0.3.0 ::1 127.0.0.1",
	    "192.0.2.0 ::ffff:192.0.2.1 64:ff9b::192.0.2.1" },
	{ "deny = [ \"::/0\" ];", "192.0.2.0 ::ffff:192.0.2.0",
	    "::1 2001:db8::1 64:ff9b:1::1" },
	/* The longest of both lists. */
	{ "allow = [ \"10.0.0.0/8\", \"10.1.2.0/24\" ];\n"
	  "deny = [ \"10.1.0.0/16\", \"10.1.2.3\" ];",
	    "10.0.0.1 10.1.2.2 10.255.255.255",
	    "10.1.1.1 10.1.2.3 10.1.3.0 11.0.0.0" },
	{ "allow = [ \"2001:db8::/32\" ]; deny = [ \"2001:db8::/48\" ];",
	    "2001:db8:1::", "2001:db8::1 2001:db9::" },
	/* Those of a listener alone. */
	{ LISTENER("allow = [ \"::1\" ];"), "::1", "::2 127.0.0.1" },
	{ LISTENER("deny = [ \"::1\" ];"), "::2 127.0.0.1", "::1" },
	/* What is denied for all adds to what the listener says. */
	{ "deny = [ \"10.1.0.0/16\" ];" LISTENER("allow = [ \"10.0.0.0/8\" ];"),
	    "10.0.0.1 10.2.0.0", "10.1.0.1 11.0.0.0" },
	{ "deny = [ \"10.0.0.0/8\" ];" LISTENER("deny = [ \"11.0.0.0/8\" ];"),
	    "12.0.0.0", "10.0.0.0 11.0.0.0" },
	{ "deny = [ \"10.0.0.0/8\" ];" LISTENER("allow = [ \"10.1.0.0/16\" ];"),
	    "10.1.0.0", "10.0.0.0 11.0.0.0" },
	/* What the listener allows replaces what is allowed for all. */
	{ "allow = [ \"10.0.0.0/8\" ];" LISTENER(
	      "allow = [ \"10.1.0.0/16\" ];"),
	    "10.1.0.1", "10.2.0.1 11.0.0.1" },
	{ "allow = [ \"10.0.0.0/8\" ];" LISTENER(
	      "allow = [ \"0.0.0.0/0\", \"::/0\" ];"),
	    "10.1.0.1 11.0.0.1 ::1", "" },
	{ "allow = [ \"10.0.0.0/24\" ]; deny = [ \"10.0.0.0/16\" ];" LISTENER(
	      "allow = [ \"10.0.0.0/8\" ];"),
	    "10.1.0.1", "10.0.0.1 10.0.1.1" },
	/* Where the listener allows none, the allowed ones for all apply. */
	{ "allow = [ \"10.0.0.0/8\" ];" LISTENER("deny = [ \"10.1.0.0/16\" ];"),
	    "10.2.0.1", "10.1.0.1 11.0.0.1" },
	{ "allow = [ \"10.1.2.0/24\" ];" LISTENER(
	      "allow = []; deny = [ \"10.1.0.0/16\" ];"),
	    "10.1.2.1", "10.1.0.1 11.0.0.1" },
	/* Of the same prefix the listener's decides. */
	{ "deny = [ \"10.0.0.0/8\" ];" LISTENER("allow = [ \"10.0.0.0/8\" ];"),
	    "10.0.0.1", "11.0.0.1" },
	{ "allow = [ \"10.0.0.0/8\" ];" LISTENER("deny = [ \"10.0.0.0/8\" ];"),
	    "", "10.0.0.1 11.0.0.1" },
	/* In a file. */
	{ "deny_file = \"\"; allow_file = \"\";", "10.0.0.1 ::1", "" },
	{ "deny_file = \"%s/list\";", "10.0.0.1 ::2",
	    "192.0.2.1 192.0.2.2 2001:db8::1 ::1" },
	{ "allow_file = \"%s/list\"; deny = [ \"192.0.2.2\" ];",
	    "192.0.2.1 2001:db8::1 ::1", "192.0.2.2 10.0.0.1 ::2" },
	{ "allow = [ \"10.0.0.0/8\" ];" LISTENER("deny_file = \"%s/list\";"),
	    "10.0.0.1", "192.0.2.1 ::1 ::2" },
};

static const char list_file[] = "# comment\n"
				"\n"
				"192.0.2.0/24\n"
				"  \t2001:db8::/32 # documentation\r\n"
				"::1";

/* With the scratch folder in place of %s. */
static void
load_with_folder(const char *text)
{
	char expanded[1024], folder[256];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	const char *at = strstr(text, "%s");
	int before = at != NULL ? (int)(at - text) : (int)strlen(text);
	snprintf(expanded, sizeof(expanded), "%.*s%s%s", before, text,
	    at != NULL ? folder : "", at != NULL ? at + 2 : "");
	load(expanded);
}

static void
assert_all(const char *clients, bool are_allowed)
{
	char copy[256];

	strcpy(copy, clients);
	for (char *ip = strtok(copy, " "); ip; ip = strtok(NULL, " "))
		assert_allowed(ip, are_allowed);
}

START_TEST(decides_by_the_longest)
{
	scratch_write("list", list_file);
	load_with_folder(cases[_i].text);
	ck_assert_msg(config != NULL, "%s", complaints);
	assert_all(cases[_i].served, true);
	assert_all(cases[_i].refused, false);
}
END_TEST

START_TEST(serves_every_unix_client)
{
	struct sockaddr_un client = { .sun_family = AF_UNIX };

	load("allow = [ \"192.0.2.1\" ];");
	ck_assert(access_allows(config->access, (struct sockaddr *)&client));
	ck_assert(access_allows(NULL, (struct sockaddr *)&client));
}
END_TEST

/* A datagram thread or a listener has them after a reload. */
START_TEST(outlives_the_configuration)
{
	struct sockaddr_any client = inet_address("10.0.0.1", 0);

	load("deny = [ \"10.0.0.0/8\" ];" LISTENER("deny = [ \"::1\" ];"));
	struct access *access = access_hold(config->listeners[0].access);
	config_free(config);
	config = NULL;
	ck_assert(!access_allows(access, &client.any));
	access_release(access);
}
END_TEST

START_TEST(the_command_line_keeps_the_lists_for_all)
{
	char *specs[] = { "tcp:1" };

	struct config_source source = { .path = "main",
		.specs = specs,
		.spec_count = 1 };

	scratch_write("main",
	    "deny = [ \"10.0.0.0/8\" ];" LISTENER("deny = [ \"::1\" ];"));
	ck_assert_int_eq(config_load(&config, &source, stderr), 0);
	assert_allowed("::1", true);
	assert_allowed("10.0.0.1", false);
}
END_TEST

static const struct {
	const char *text, *list, *complaint;
} bad[] = {
	{ "allow = \"10.0.0.1\";", "",
	    "main:1: allow: needs networks: [ \"192.0.2.0/24\", "
	    "\"2001:db8::1\" ]\n" },
	{ "deny = [ 10 ];", "", "main:1: deny[0]: needs text in \"quotes\"\n" },
	{ LISTENER("deny = ( \"10.0.0.1\",\n true );"), "",
	    "main:2: listeners[0].deny[1]: needs text in \"quotes\"\n" },
	{ "allow = [ \"10.0.0.1\",\n\"10.0.0.1/8\",\n\"ipx:1\" ];", "",
	    "main:2: allow[1]: \"10.0.0.1/8\" has bits set behind its length; "
	    "did you mean the network \"10.0.0.0/8\" or the address "
	    "\"10.0.0.1\"?\n"
	    "main:3: allow[2]: \"ipx:1\" is not an IPv4 or IPv6 address\n" },
	{ "allow = [ \"10.0.0.0/8\",\n\"::ffff:10.0.0.0/104\" ];", "",
	    "main:2: \"10.0.0.0/8\" is allowed at main:1 already\n" },
	{ "deny = [ \"::1\" ];\nallow = [ \"::1/128\" ];", "",
	    "main:2: \"::1/128\" is denied at main:1 already\n" },
	{ LISTENER("deny = [ \"::1\",\n\"::1\" ];"), "",
	    "main:2: \"::1/128\" is denied at main:1 already\n" },
	{ "listeners = ( { protocol = \"unix\"; path = \"/a\";\n"
	  "allow = [ \"::1\" ]; } );",
	    "",
	    "main:2: listeners[0].allow: does not apply to a unix listener\n" },
	{ "deny_file = \"list\";", "",
	    "main:1: deny_file: needs an absolute path, or \"\"\n" },
	{ "deny_file = [ \"/list\" ];", "",
	    "main:1: deny_file: needs an absolute path, or \"\"\n" },
	{ "deny_file = \"/no/such\";", "",
	    "main:1: deny_file: cannot read /no/such: No such file or "
	    "directory\n" },
	{ "\ndeny_file = \"/dev/null\";", "",
	    "main:2: deny_file: cannot read /dev/null: not a regular file\n" },
	{ "deny_file = \"/\";", "",
	    "main:1: deny_file: cannot read /: not a regular file\n" },
	{ "allow_file = \"%s/list\";", "# nothing\n\n",
	    "main:1: allow_file: %s/list has no network; to allow everyone "
	    "use \"\"\n" },
	{ "deny_file = \"%s/list\";",
	    "10.0.0.0/8\n10.0.0.0/8 10.1.0.0/16\n10.0.0.1/9\n",
	    "%s/list:2: \"10.0.0.0/8 10.1.0.0/16\" needs a length from 0 to "
	    "32\n"
	    "%s/list:3: \"10.0.0.1/9\" has bits set behind its length; did you "
	    "mean the network \"10.0.0.0/9\" or the address \"10.0.0.1\"?\n" },
	{ "allow = [ \"::/1\" ]; deny_file = \"%s/list\";", "::1\n::/1\n\n::1",
	    "main:1: \"::/1\" is denied at %s/list:2 already\n"
	    "%s/list:4: \"::1/128\" is denied at %s/list:1 already\n" },
	{ "deny_file = \"%s/list\";", "\x1b[2J\n",
	    "%s/list:1: \"\\x1b[2J\" is not an IPv4 or IPv6 address\n" },
};

/* Replaces each %s in text by the folder. */
static const char *
expand(const char *text, char *expanded, size_t size)
{
	char folder[256];
	FILE *out = fmemopen(expanded, size, "w");

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	for (; *text != '\0'; text++)
		if (strncmp(text, "%s", 2) == 0) {
			fputs(folder, out);
			text++;
		} else {
			fputc(*text, out);
		}
	fclose(out);
	return expanded;
}

START_TEST(says_what_is_wrong)
{
	char expected[1024] = "";

	scratch_write("list", bad[_i].list);
	load_with_folder(bad[_i].text);
	ck_assert_ptr_null(config);
	complaints_strip_columns();
	ck_assert_str_eq(complaints,
	    expand(bad[_i].complaint, expected, sizeof(expected)));
}
END_TEST

START_TEST(says_not_all_that_is_wrong)
{
	FILE *list = fopen("list", "w");
	int lines = 0;

	for (int i = 0; i < 1000; i++)
		fputs("wrong\n", list);
	fclose(list);
	load_with_folder("deny_file = \"%s/list\";");
	ck_assert_ptr_null(config);
	for (const char *at = complaints; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_int_eq(lines, 21);
	ck_assert_ptr_nonnull(strstr(complaints,
	    "list:20: further faults of these lists are not shown\n"));
}
END_TEST

START_TEST(refuses_a_nul_byte)
{
	FILE *list = fopen("list", "w");

	fwrite("10.0.0.1\0\n", 1, 10, list);
	fclose(list);
	load_with_folder("deny_file = \"%s/list\";");
	ck_assert_ptr_null(config);
	ck_assert_ptr_nonnull(
	    strstr(complaints, "list:1: \"10.0.0.1\" has a NUL byte\n"));
}
END_TEST

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/*
 * Network number i: the factor spreads them, and no two are the same.  Without
 * a length it is an address in it.
 */
static const char *
network(unsigned i, bool is_ipv6, bool with_length, char text[64])
{
	unsigned bits = i * 2654435761U >> 12;

	if (is_ipv6)
		snprintf(text, 64, "2a00:%x:%x::%s", bits >> 4,
		    (bits & 15) << 12, with_length ? "/48" : "1");
	else
		snprintf(text, 64, "10.%u.%u.%u%s", bits >> 12,
		    bits >> 4 & 0xff, (bits & 15) << 4,
		    with_length ? "/29" : "");
	return text;
}

/* Prints what it costs; nothing depends on that. */
static void
measure(bool is_ipv6, double load_seconds)
{
	struct sockaddr_any client =
	    inet_address(is_ipv6 ? "2a00::1" : "10.0.0.1", 0);
	uint8_t *bytes = is_ipv6 ? client.in6.sin6_addr.s6_addr + 2
	                         : (uint8_t *)&client.in.sin_addr + 1;
	uint32_t random = 1, denied = 0;
	double begin = seconds();

	for (int i = 0; i < LOOKUPS; i++) {
		random = random * 1664525 + 1013904223;
		bytes[0] = (uint8_t)(random >> 24);
		bytes[1] = (uint8_t)(random >> 16);
		bytes[2] = (uint8_t)(random >> 8) & 0xf0;
		denied += !access_allows(config->access, &client.any);
	}
	printf("access: %d networks of %s: %.0f ms to load, %.0f ns for each "
	       "of %d clients, %u denied\n",
	    MANY, is_ipv6 ? "IPv6" : "IPv4", load_seconds * 1e3,
	    (seconds() - begin) / LOOKUPS * 1e9, LOOKUPS, denied);
}

START_TEST(holds_100000_networks)
{
	bool is_ipv6 = _i == 1;
	FILE *list = fopen("list", "w");
	char text[64];

	for (unsigned i = 0; i < MANY; i++)
		fprintf(list, "%s\n", network(i, is_ipv6, true, text));
	fclose(list);
	double begin = seconds();
	load_with_folder("deny_file = \"%s/list\";");
	double loaded = seconds() - begin;
	ck_assert_msg(config != NULL, "%s", complaints);
	measure(is_ipv6, loaded);
	for (unsigned i = 0; i < MANY; i++)
		assert_allowed(network(i, is_ipv6, false, text), false);
	assert_allowed(is_ipv6 ? "2a00:0:1::1" : "10.0.0.8", true);
	assert_allowed(is_ipv6 ? "29ff:ffff::1" : "9.255.255.255", true);
	assert_allowed(is_ipv6 ? "::1" : "0.0.0.1", true);
	assert_allowed(is_ipv6 ? "10.0.0.0" : "2a00::1", true);
}
END_TEST

Suite *
access_suite(void)
{
	Suite *suite = suite_create("access");
	TCase *tests = tcase_create("access");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, scratch_enter, leave);
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, decides_by_the_longest, 0,
	    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, serves_every_unix_client);
	tcase_add_test(tests, outlives_the_configuration);
	tcase_add_test(tests, the_command_line_keeps_the_lists_for_all);
	tcase_add_loop_test(tests, says_what_is_wrong, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, says_not_all_that_is_wrong);
	tcase_add_test(tests, refuses_a_nul_byte);
	tcase_add_loop_test(tests, holds_100000_networks, 0, 2);
	return suite;
}
