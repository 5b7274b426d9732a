#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/listener_config.h"
#include "unit/suites.h"

#define SPECS_MAX 8

#define LONG_PATH                                                              \
	"/2345678901234567890123456789012345678901234567890123456789012345678" \
	"9"                                                                    \
	"012345678901234567890123456789012345678"

static struct listener_config listeners[SPECS_MAX];
static char *complaints;

static int
parse(char *const *specs, size_t count)
{
	size_t len;
	FILE *errors = open_memstream(&complaints, &len);
	int rc = 0;

	for (size_t i = 0; i < count; i++)
		rc |= listener_config_parse(listeners, i, specs[i], errors);
	fclose(errors);
	return rc;
}

START_TEST(specs_are_parsed)
{
	char *specs[SPECS_MAX] = { "tcp:0", "udp:127.0.0.1:53",
		"tcp:[::1]:daytime", "unix:/run/a", "unix-dgram:/run/b",
		"unix-seqpacket:/run/c", "tcp:localhost:9", "tcp:127.0.0.1:0" };

	ck_assert_int_eq(parse(specs, SPECS_MAX), 0);
	ck_assert_str_eq(listeners[0].address, "*");
	ck_assert_int_eq(listeners[0].port, 0);
	ck_assert_str_eq(listeners[0].where, "-l tcp:0");
	ck_assert_int_eq(listeners[0].backlog, 1024);
	ck_assert_int_eq(listeners[0].receive_buffer, 81920);
	ck_assert_str_eq(listeners[1].address, "127.0.0.1");
	ck_assert_int_eq(listeners[1].port, 53);
	ck_assert_int_eq(listeners[1].protocol, PROTOCOL_UDP);
	ck_assert_str_eq(listeners[2].address, "::1");
	ck_assert_int_eq(listeners[2].port, 13);
	ck_assert_str_eq(listeners[3].path, "/run/a");
	ck_assert_str_eq(listeners[6].address, "localhost");
	ck_assert_str_eq(complaints, "");
}
END_TEST

START_TEST(bad_specs_are_refused)
{
	static char *const specs[] = { "tcp", "tcp:", "tcp:65536", "tcp:-1",
		"tcp:nosuch", "sctp:1", "udp:::1:7", "tcp::7",
		"unix:", "unix:relative", "unix:" LONG_PATH, "tcp:1x", ":",
		"" };
	char start[256];

	ck_assert_int_eq(parse(&specs[_i], 1), -1);
	snprintf(start, sizeof(start), "-l %s: needs tcp:PORT", specs[_i]);
	ck_assert_mem_eq(complaints, start, strlen(start));
}
END_TEST

START_TEST(a_spec_given_twice_is_refused)
{
	char *specs[] = { "tcp:7", "udp:7", "tcp:7" };

	ck_assert_int_eq(parse(specs, 3), -1);
	ck_assert_str_eq(complaints, "-l tcp:7: given twice\n");
}
END_TEST

static void
free_complaints(void)
{
	free(complaints);
	complaints = NULL;
}

Suite *
listener_config_suite(void)
{
	Suite *suite = suite_create("listener_config");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, NULL, free_complaints);
	tcase_add_test(tests, specs_are_parsed);
	tcase_add_loop_test(tests, bad_specs_are_refused, 0, 14);
	tcase_add_test(tests, a_spec_given_twice_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
