#include <stdio.h>
#include <string.h>

#include "timestampc/target.h"
#include "unit/suites.h"

static const struct {
	const char *text;
	enum protocol protocol;
	const char *where; /* host or path */
	int port;
} good[] = {
	{ "host", PROTOCOL_TCP, "host", 21567 },
	{ "udp:host", PROTOCOL_UDP, "host", 21567 },
	{ "tcp:host:7000", PROTOCOL_TCP, "host", 7000 },
	{ "host:7000", PROTOCOL_TCP, "host", 7000 },
	{ "host:daytime", PROTOCOL_TCP, "host", 13 },
	{ "tcp:[::1]:7000", PROTOCOL_TCP, "::1", 7000 },
	{ "[::1]", PROTOCOL_TCP, "::1", 21567 },
	{ "::1", PROTOCOL_TCP, "::1", 21567 },
	{ "udp:fe80::1%lo", PROTOCOL_UDP, "fe80::1%lo", 21567 },
	{ "7000", PROTOCOL_TCP, "localhost", 7000 },
	{ "udp:7000", PROTOCOL_UDP, "localhost", 7000 },
	{ "udp:", PROTOCOL_UDP, "localhost", 21567 },
	{ "udp", PROTOCOL_TCP, "udp", 21567 },
	{ "unix:/path", PROTOCOL_UNIX, "/path", 21567 },
	{ "/path", PROTOCOL_UNIX, "/path", 21567 },
	{ "unix-dgram:/a:b", PROTOCOL_UNIX_DGRAM, "/a:b", 21567 },
	{ "unix-seqpacket:/path", PROTOCOL_UNIX_SEQPACKET, "/path", 21567 },
};

START_TEST(targets_are_read)
{
	struct target target;

	ck_assert_int_eq(target_parse(&target, good[_i].text), 0);
	ck_assert_int_eq(target.protocol, good[_i].protocol);
	ck_assert_int_eq(target.port, good[_i].port);
	ck_assert_str_eq(protocol_is_unix(target.protocol) ? target.path
							   : target.host,
	    good[_i].where);
}
END_TEST

static const char *const bad[] = { "tcp:host:0", "host:65536", "host:-1",
	"host:", ":7000", "[::1", "[]:1", "[::1]7", "[::1]:", "unix:path",
	"unix:", "65536", "host:nosuchservice", "99999999999999999999" };

START_TEST(other_texts_are_refused)
{
	struct target target;

	ck_assert_int_eq(target_parse(&target, bad[_i]), -1);
}
END_TEST

START_TEST(long_texts_are_refused)
{
	char text[1024] = "unix:/";
	struct target target;

	memset(text + 6, 'x', 108);
	ck_assert_int_eq(target_parse(&target, text), -1);
	text[sizeof(target.path) + 4] = '\0';
	ck_assert_int_eq(target_parse(&target, text), 0);
	memset(text, 'x', 300);
	text[300] = '\0';
	ck_assert_int_eq(target_parse(&target, text), -1);
}
END_TEST

Suite *
target_suite(void)
{
	Suite *suite = suite_create("target");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, targets_are_read, 0,
	    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tests, other_texts_are_refused, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, long_texts_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
