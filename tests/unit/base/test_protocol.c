#include <sys/socket.h>

#include "base/protocol.h"
#include "unit/suites.h"

START_TEST(names_and_kinds)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		enum protocol protocol = (enum protocol)i;
		ck_assert_int_eq(protocol_parse(protocol_name(protocol)), i);
		ck_assert(protocol_is_datagram(protocol) ==
			  (protocol_socket_type(protocol) == SOCK_DGRAM));
	}
	ck_assert_int_eq(protocol_parse("TCP"), -1);
	ck_assert(protocol_is_unix(PROTOCOL_UNIX_SEQPACKET));
	ck_assert(!protocol_is_unix(PROTOCOL_UDP));
	ck_assert_int_eq(protocol_socket_type(PROTOCOL_UNIX_SEQPACKET),
	    SOCK_SEQPACKET);
}
END_TEST

Suite *
protocol_suite(void)
{
	Suite *suite = suite_create("protocol");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, names_and_kinds);
	suite_add_tcase(suite, tests);
	return suite;
}
