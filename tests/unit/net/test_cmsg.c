#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "net/cmsg.h"
#include "unit/suites.h"

static _Alignas(struct cmsghdr) char control[CMSG_UDP_MAX];
static struct msghdr header;

static void
add(int level, int type, const void *value, size_t len)
{
	char *end = control + header.msg_controllen;
	struct cmsghdr *at = (void *)end;

	at->cmsg_level = level;
	at->cmsg_type = type;
	at->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(at), value, len);
	header.msg_controllen += CMSG_SPACE(len);
	ck_assert_uint_le(header.msg_controllen, sizeof(control));
}

static void
start(void)
{
	memset(control, 0, sizeof(control));
	header = (struct msghdr){ .msg_control = control };
}

static void
add_ipv4(void)
{
	struct in_pktinfo info = {
		.ipi_ifindex = 3,
		.ipi_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
	};

	add(IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void
expect_ipv4(const struct cmsghdr *at)
{
	struct in_pktinfo info;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(at->cmsg_level, IPPROTO_IP);
	ck_assert_int_eq(at->cmsg_type, IP_PKTINFO);
	memcpy(&info, CMSG_DATA(at), sizeof(info));
	ck_assert_int_eq(info.ipi_ifindex, 0);
	ck_assert_uint_eq(info.ipi_spec_dst.s_addr, htonl(INADDR_LOOPBACK + 1));
}

START_TEST(the_reply_goes_from_the_address_asked)
{
	struct cmsg_info envelope;

	add_ipv4();
	cmsg_read(&header, &envelope);
	ck_assert_uint_eq(envelope.segment_len, 0);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_uint_eq(header.msg_controllen,
	    CMSG_SPACE(sizeof(struct in_pktinfo)));
}
END_TEST

START_TEST(an_address_of_many_is_told)
{
	static const struct {
		const char *asked, *local; /* none: the kernel doesn't tell */
		bool many;
	} cases[] = {
		{ "127.3.4.5", "127.3.4.5", false },
		{ "192.0.2.7", "192.0.2.7", false },
		{ "192.0.2.7", "0.0.0.0", false },
		{ "192.0.2.255", "192.0.2.7", true },
		{ "255.255.255.255", "192.0.2.7", true },
		{ "255.255.255.255", "0.0.0.0", true },
		{ "224.0.0.1", "192.0.2.7", true },
		{ "224.0.0.1", "0.0.0.0", true },
		{ "fe80::1", NULL, false },
		{ "2001:db8::1", NULL, false },
		{ "::ffff:192.0.2.7", NULL, false },
		{ "ff02::1", NULL, true },
	};
	struct in_pktinfo info = { .ipi_ifindex = 3 };
	struct in6_pktinfo info6 = { .ipi6_ifindex = 3 };
	struct cmsg_info envelope;

	if (cases[_i].local == NULL) {
		inet_pton(AF_INET6, cases[_i].asked, &info6.ipi6_addr);
		add(IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	} else {
		inet_pton(AF_INET, cases[_i].asked, &info.ipi_addr);
		inet_pton(AF_INET, cases[_i].local, &info.ipi_spec_dst);
		add(IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	cmsg_read(&header, &envelope);
	ck_assert(envelope.is_to_many == cases[_i].many);
}
END_TEST

START_TEST(an_interface_stays_for_a_link_local_address)
{
	struct in6_pktinfo info = { .ipi6_ifindex = 3 };
	struct cmsg_info envelope;

	info.ipi6_addr.s6_addr[0] = 0xfe;
	info.ipi6_addr.s6_addr[1] = _i == 0 ? 0x80 : 0;
	add(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	cmsg_read(&header, &envelope);
	memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(info));
	ck_assert_uint_eq(info.ipi6_ifindex, _i == 0 ? 3 : 0);
}
END_TEST

/* In whatever order the kernel tells. */
START_TEST(a_burst_is_asked_for_as_it_came)
{
	struct cmsg_info envelope;
	int came = 64;
	uint16_t wanted;

	if (_i == 0)
		add_ipv4();
	add(IPPROTO_UDP, UDP_GRO, &came, sizeof(came));
	if (_i == 1)
		add_ipv4();
	cmsg_read(&header, &envelope);
	ck_assert_uint_eq(envelope.segment_len, 64);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));

	cmsg_set_segment(&header, 91);
	struct cmsghdr *at = CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header));
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(at->cmsg_level, IPPROTO_UDP);
	ck_assert_int_eq(at->cmsg_type, UDP_SEGMENT);
	ck_assert_uint_eq(at->cmsg_len, CMSG_LEN(sizeof(wanted)));
	memcpy(&wanted, CMSG_DATA(at), sizeof(wanted));
	ck_assert_uint_eq(wanted, 91);

	cmsg_clear_segment(&header);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));
}
END_TEST

START_TEST(the_time_of_arrival_is_for_us_alone)
{
	struct timespec arrived = { 1795223700, 5 };
	struct cmsg_info envelope;
	int came = 64;

	add(SOL_SOCKET, SO_TIMESTAMPNS, &arrived, sizeof(arrived));
	add(IPPROTO_UDP, UDP_GRO, &came, sizeof(came));
	add_ipv4();
	cmsg_read(&header, &envelope);
	ck_assert(envelope.has_arrival);
	ck_assert_int_eq(envelope.arrived.tv_sec, 1795223700);
	ck_assert_int_eq(envelope.arrived.tv_nsec, 5);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));
}
END_TEST

START_TEST(descriptors_that_come_along_are_closed)
{
	struct cmsg_info envelope;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	add(SOL_SOCKET, SCM_RIGHTS, ends, sizeof(ends));
	cmsg_read(&header, &envelope);
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
	ck_assert_int_eq(fcntl(ends[1], F_GETFD), -1);
	ck_assert_uint_eq(header.msg_controllen, 0);
}
END_TEST

START_TEST(a_unix_datagram_has_none)
{
	struct cmsg_info envelope;

	cmsg_read(&header, &envelope);
	ck_assert_uint_eq(envelope.segment_len, 0);
	ck_assert(!envelope.has_arrival);
	ck_assert_uint_eq(header.msg_controllen, 0);
}
END_TEST

Suite *
cmsg_suite(void)
{
	Suite *suite = suite_create("cmsg");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests, the_reply_goes_from_the_address_asked);
	tcase_add_loop_test(tests, an_address_of_many_is_told, 0, 12);
	tcase_add_loop_test(tests, an_interface_stays_for_a_link_local_address,
	    0, 2);
	tcase_add_loop_test(tests, a_burst_is_asked_for_as_it_came, 0, 2);
	tcase_add_test(tests, the_time_of_arrival_is_for_us_alone);
	tcase_add_test(tests, descriptors_that_come_along_are_closed);
	tcase_add_test(tests, a_unix_datagram_has_none);
	suite_add_tcase(suite, tests);
	return suite;
}
