#include <arpa/inet.h>
#include <errno.h>
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

START_TEST(the_reply_is_sent_from_the_address_of_the_request)
{
	struct cmsg_request request;

	add_ipv4();
	cmsg_read_request(&header, &request);
	ck_assert_uint_eq(request.segment_len, 0);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_uint_eq(header.msg_controllen,
	    CMSG_SPACE(sizeof(struct in_pktinfo)));
}
END_TEST

START_TEST(multicast_and_broadcast_addresses_are_recognised)
{
	static const struct {
		const char *to, *local; /* local of IPv4 only */
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
	struct cmsg_request request;

	if (cases[_i].local == NULL) {
		inet_pton(AF_INET6, cases[_i].to, &info6.ipi6_addr);
		add(IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	} else {
		inet_pton(AF_INET, cases[_i].to, &info.ipi_addr);
		inet_pton(AF_INET, cases[_i].local, &info.ipi_spec_dst);
		add(IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	cmsg_read_request(&header, &request);
	ck_assert(request.is_to_many == cases[_i].many);
}
END_TEST

START_TEST(only_a_link_local_address_keeps_its_interface)
{
	struct in6_pktinfo info = { .ipi6_ifindex = 3 };
	struct cmsg_request request;

	info.ipi6_addr.s6_addr[0] = 0xfe;
	info.ipi6_addr.s6_addr[1] = _i == 0 ? 0x80 : 0;
	add(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	cmsg_read_request(&header, &request);
	memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(info));
	ck_assert_uint_eq(info.ipi6_ifindex, _i == 0 ? 3 : 0);
}
END_TEST

/* The kernel may put control messages in any order. */
START_TEST(a_segment_length_is_added_and_removed)
{
	struct cmsg_request request;
	int gro = 64;
	uint16_t segment;

	if (_i == 0)
		add_ipv4();
	add(IPPROTO_UDP, UDP_GRO, &gro, sizeof(gro));
	if (_i == 1)
		add_ipv4();
	cmsg_read_request(&header, &request);
	ck_assert_uint_eq(request.segment_len, 64);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));

	cmsg_set_segment(&header, 91);
	struct cmsghdr *at = CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header));
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(at->cmsg_level, IPPROTO_UDP);
	ck_assert_int_eq(at->cmsg_type, UDP_SEGMENT);
	ck_assert_uint_eq(at->cmsg_len, CMSG_LEN(sizeof(segment)));
	memcpy(&segment, CMSG_DATA(at), sizeof(segment));
	ck_assert_uint_eq(segment, 91);

	cmsg_clear_segment(&header);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));
}
END_TEST

START_TEST(the_reply_does_not_carry_the_time_of_arrival)
{
	struct timespec arrived = { 1795223700, 5 };
	struct cmsg_request request;
	int gro = 64;

	add(SOL_SOCKET, SO_TIMESTAMPNS, &arrived, sizeof(arrived));
	add(IPPROTO_UDP, UDP_GRO, &gro, sizeof(gro));
	add_ipv4();
	cmsg_read_request(&header, &request);
	ck_assert(request.has_arrival);
	ck_assert_int_eq(request.arrived.tv_sec, 1795223700);
	ck_assert_int_eq(request.arrived.tv_nsec, 5);
	expect_ipv4(CMSG_FIRSTHDR(&header));
	ck_assert_ptr_null(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)));
}
END_TEST

START_TEST(descriptors_of_a_client_are_closed)
{
	struct cmsg_request request;
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	add(SOL_SOCKET, SCM_RIGHTS, ends, sizeof(ends));
	cmsg_read_request(&header, &request);
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
	ck_assert_int_eq(fcntl(ends[1], F_GETFD), -1);
	ck_assert_uint_eq(header.msg_controllen, 0);
}
END_TEST

START_TEST(a_unix_datagram_has_no_control_messages)
{
	struct cmsg_request request;

	cmsg_read_request(&header, &request);
	ck_assert_uint_eq(request.segment_len, 0);
	ck_assert(!request.has_arrival);
	ck_assert_uint_eq(header.msg_controllen, 0);
}
END_TEST

START_TEST(the_sender_of_a_unix_datagram_is_read)
{
	struct ucred credentials = { .uid = 4711 };
	struct cmsg_request request;

	cmsg_read_request(&header, &request);
	ck_assert_uint_eq(request.sender, (uid_t)-1);
	add(SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof(credentials));
	cmsg_read_request(&header, &request);
	ck_assert_uint_eq(request.sender, 4711);
	ck_assert_uint_eq(header.msg_controllen, 0);
}
END_TEST

static int ends[2];

static void
open_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
}

static void
close_pair(void)
{
	close(ends[0]);
	close(ends[1]);
}

/* The lowest descriptor that is free: the same again if none is lost. */
static int
next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* Sends standard input count times, which may be more than cmsg_send_fds can. */
static void
send_fds(size_t count)
{
	_Alignas(struct cmsghdr) char buffer[CMSG_SPACE(253 * sizeof(int))] = {
		0,
	};
	struct iovec piece = { (char[1]){ 0 }, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = buffer,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *at = CMSG_FIRSTHDR(&message);

	at->cmsg_level = SOL_SOCKET;
	at->cmsg_type = SCM_RIGHTS;
	at->cmsg_len = CMSG_LEN(count * sizeof(int));
	ck_assert_int_eq(sendmsg(ends[0], &message, 0), 1);
}

static void
expect_fds(const int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
	}
}

START_TEST(descriptors_are_passed_in_records)
{
	int sent[CMSG_FDS_MAX] = { 0 }, fds[CMSG_FDS_MAX];

	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(cmsg_send_fds(ends[0], sent, 1), 0);
	ck_assert_int_eq(cmsg_send_fds(ends[0], sent, CMSG_FDS_MAX), 0);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), 1);
	expect_fds(fds, 1);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), CMSG_FDS_MAX);
	expect_fds(fds, CMSG_FDS_MAX);
	shutdown(ends[0], SHUT_WR);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), 0);
}
END_TEST

START_TEST(other_control_messages_come_before_the_descriptors)
{
	int sent[CMSG_FDS_MAX] = { 0 }, fds[CMSG_FDS_MAX], on = 1;

	ck_assert_int_eq(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on,
			     sizeof(on)),
	    0);
	ck_assert_int_eq(cmsg_send_fds(ends[0], sent, CMSG_FDS_MAX), 0);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), CMSG_FDS_MAX);
	expect_fds(fds, CMSG_FDS_MAX);
}
END_TEST

START_TEST(a_record_without_descriptors_is_an_error)
{
	int fds[CMSG_FDS_MAX], on = _i;

	setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	ck_assert_int_eq(send(ends[0], "x", 1, 0), 1);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), -1);
	ck_assert_int_eq(errno, EBADMSG);
}
END_TEST

/* 253 descriptors fit the buffer, but not beside a sender and a time. */
START_TEST(descriptors_over_the_limit_are_closed)
{
	int fds[CMSG_FDS_MAX + 1], on = _i, first = next_fd();

	fds[CMSG_FDS_MAX] = 4711;
	setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	setsockopt(ends[1], SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
	send_fds(253);
	ck_assert_int_eq(cmsg_receive_fds(ends[1], fds), -1);
	ck_assert_int_eq(errno, EBADMSG);
	ck_assert_int_eq(fds[CMSG_FDS_MAX], 4711);
	ck_assert_int_eq(next_fd(), first);
}
END_TEST

Suite *
cmsg_suite(void)
{
	Suite *suite = suite_create("cmsg");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, NULL);
	tcase_add_test(tests,
	    the_reply_is_sent_from_the_address_of_the_request);
	tcase_add_loop_test(tests,
	    multicast_and_broadcast_addresses_are_recognised, 0, 12);
	tcase_add_loop_test(tests,
	    only_a_link_local_address_keeps_its_interface, 0, 2);
	tcase_add_loop_test(tests, a_segment_length_is_added_and_removed, 0, 2);
	tcase_add_test(tests, the_reply_does_not_carry_the_time_of_arrival);
	tcase_add_test(tests, descriptors_of_a_client_are_closed);
	tcase_add_test(tests, a_unix_datagram_has_no_control_messages);
	tcase_add_test(tests, the_sender_of_a_unix_datagram_is_read);
	suite_add_tcase(suite, tests);
	TCase *passing = tcase_create("passing");
	tcase_add_checked_fixture(passing, open_pair, close_pair);
	tcase_add_test(passing, descriptors_are_passed_in_records);
	tcase_add_test(passing,
	    other_control_messages_come_before_the_descriptors);
	tcase_add_loop_test(passing, a_record_without_descriptors_is_an_error,
	    0, 2);
	tcase_add_loop_test(passing, descriptors_over_the_limit_are_closed, 0,
	    2);
	suite_add_tcase(suite, passing);
	return suite;
}
