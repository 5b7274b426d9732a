#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "unit/config/complaints.h"
#include "unit/suites.h"

#define SPECS_MAX 8

#define LONG_PATH                                                              \
	"/2345678901234567890123456789012345678901234567890123456789012345678" \
	"9"                                                                    \
	"012345678901234567890123456789012345678"

static struct config *config;

static int
parse(char *const *specs, size_t count)
{
	struct config_source source = { .specs = specs, .spec_count = count };

	return complaints_load(&config, &source);
}

START_TEST(specs_are_parsed)
{
	char *specs[SPECS_MAX] = { "tcp:0", "udp:127.0.0.1:53",
		"tcp:[::1]:daytime", "unix:/run/a", "unix-dgram:/run/b",
		"unix-seqpacket:/run/c", "tcp:localhost:9", "tcp:127.0.0.1:0" };

	ck_assert_int_eq(parse(specs, SPECS_MAX), 0);
	const struct listener_config *listeners = config->listeners;
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
		"tcp:nosuch", "sctp:1", "udp:::1:7", "tcp::7", "tcp:[]:7",
		"unix:", "unix:relative", "unix:" LONG_PATH, "tcp:1x", ":",
		"" };
	char start[256];

	ck_assert_int_eq(parse(&specs[_i], 1), EX_USAGE);
	ck_assert_ptr_null(config);
	snprintf(start, sizeof(start), "timestampd: -l %s: ", specs[_i]);
	ck_assert_mem_eq(complaints, start, strlen(start));
	ck_assert_ptr_eq(strchr(complaints, '\n'),
	    complaints + strlen(complaints) - 1);
}
END_TEST

START_TEST(a_spec_given_twice_is_refused)
{
	char *specs[] = { "tcp:7", "udp:7", "tcp:7" };

	ck_assert_int_eq(parse(specs, 3), EX_USAGE);
	ck_assert_str_eq(complaints, "timestampd: -l tcp:7: is given twice; "
				     "timestampd -h lists the options\n");
}
END_TEST

START_TEST(settings_follow_commas)
{
	char *specs[] = {
		"tcp:7,framing=line,idle_timeout=0,backlog=5,receive_buffer="
		"4096,proxy_protocol=accept,proxy_from=192.0.2.1,proxy_from="
		"::/0,allow=10.0.0.0/8,stamp.format=%H\\,%M,stamp.timezone=UTC",
		"unix-dgram:/a\\,b\\c,mode=0640,abstract_clients=true",
		"udp:8,threads=2,max_datagram=9"
	};

	ck_assert_int_eq(parse(specs, 3), 0);
	const struct listener_config *tcp = &config->listeners[0];
	ck_assert_int_eq(tcp->framing, FRAMING_LINE);
	ck_assert_int_eq(tcp->idle_timeout, 0);
	ck_assert_int_eq(tcp->backlog, 5);
	ck_assert_int_eq(tcp->receive_buffer, 4096);
	ck_assert_int_eq(tcp->proxy, PROXY_ACCEPT);
	ck_assert_int_eq(tcp->proxy_from_count, 2);
	ck_assert_ptr_nonnull(tcp->access);
	ck_assert_str_eq(tcp->stamp.text, "%H,%M");
	ck_assert_str_eq(tcp->timezone, "UTC");
	const struct listener_config *dgram = &config->listeners[1];
	ck_assert_str_eq(dgram->path, "/a,b\\c");
	ck_assert_uint_eq(dgram->mode, 0640);
	ck_assert(dgram->abstract_clients);
	ck_assert_int_eq(dgram->idle_timeout, CONFIG_AUTO);
	ck_assert_int_eq(config->listeners[2].threads, 2);
	ck_assert_int_eq(config->listeners[2].max_datagram, 9);
}
END_TEST

static void
free_complaints(void)
{
	config_free(config);
	complaints_free();
}

Suite *
listener_config_suite(void)
{
	Suite *suite = suite_create("listener_config");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, NULL, free_complaints);
	tcase_add_test(tests, specs_are_parsed);
	tcase_add_loop_test(tests, bad_specs_are_refused, 0, 15);
	tcase_add_test(tests, a_spec_given_twice_is_refused);
	tcase_add_test(tests, settings_follow_commas);
	suite_add_tcase(suite, tests);
	return suite;
}
