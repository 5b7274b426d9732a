#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define BYTES_MAX 65507

static struct daemon server;
static int port;

static void
start(void)
{
	daemon_start_config(&server,
	    "listeners = ( { protocol = \"udp\"; port = 0; } );");
	port = daemon_port(&server, "udp *");
}

static void
stop(void)
{
	daemon_stop(&server);
}

/* Returns -1 if the kernel does not accept so many segments. */
static int
send_segments(int fd, const char *data, size_t len, size_t segment_len)
{
	uint16_t segment = (uint16_t)segment_len;
	struct client_control control = { IPPROTO_UDP, UDP_SEGMENT, &segment,
		sizeof(segment) };

	if (client_send_control(fd, data, len, &control) == (ssize_t)len)
		return 0;
	ck_assert_msg(errno == EINVAL, "sendmsg: %s", strerror(errno));
	return -1;
}

/* Receives one datagram, or several segments of *segment_len bytes. */
static size_t
receive(int fd, char *data, size_t size, size_t *segment_len)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec piece = { data, size };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &message, 0);
	struct cmsghdr *at = CMSG_FIRSTHDR(&message);
	int segment = (int)n;

	ck_assert_msg(n > 0, "recvmsg: %s", strerror(errno));
	if (at != NULL && at->cmsg_type == UDP_GRO)
		memcpy(&segment, CMSG_DATA(at), sizeof(segment));
	*segment_len = (size_t)segment;
	return (size_t)n;
}

/* Expects a reply to each segment of data.  Returns the number of receives. */
static int
expect_segments(int fd, const char *data, size_t len, size_t segment_len)
{
	static char replies[65536];
	size_t at = 0, reply_len;
	int receives = 0;

	for (; at < len; receives++) {
		size_t got = receive(fd, replies, sizeof(replies), &reply_len);
		for (size_t from = 0; from < got; from += reply_len) {
			size_t n = len - at < segment_len ? len - at
			                                  : segment_len;
			size_t left = got - from < reply_len ? got - from
			                                     : reply_len;
			client_assert_reply(replies + from, left, data + at, n);
			at += n;
		}
	}
	ck_assert_uint_eq(at, len);
	return receives;
}

static const char *
random_bytes(size_t len)
{
	static char bytes[BYTES_MAX];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)rand();
	return bytes;
}

static void
receive_joined(int fd)
{
	int on = 1;

	ck_assert_int_eq(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)),
	    0);
}

static int
open_client(int number)
{
	int fd = number & 1 ? client_udp6(port) : client_udp(port);

	if (number & 2)
		receive_joined(fd);
	return fd;
}

static void
talk(int fd, size_t count, size_t segment_len, size_t last_len)
{
	size_t len = (count - 1) * segment_len + last_len;
	const char *data = random_bytes(len);

	if (send_segments(fd, data, len, segment_len) == 0)
		expect_segments(fd, data, len, segment_len);
	else
		ck_assert_uint_gt(count, 64);
}

START_TEST(each_segment_is_answered)
{
	int fd = open_client(_i);

	for (size_t count = 1; count <= 65; count++)
		talk(fd, count, 10, 10);
	talk(fd, 128, 10, 1);
	talk(fd, 64, 1, 1);
	talk(fd, 5, 64, 63);
	talk(fd, 46, 1400, 1400);
	/* The replies have more bytes than the kernel accepts at once. */
	talk(fd, 64, 1000, 1);
	talk(fd, 64, 1023, 1023);
	close(fd);
}
END_TEST

START_TEST(replies_are_segments_too)
{
	int fd = client_udp(port);
	const char *data = random_bytes(640);

	receive_joined(fd);
	ck_assert_int_eq(send_segments(fd, data, 640, 10), 0);
	ck_assert_int_eq(expect_segments(fd, data, 640, 10), 1);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_in"), 64);
	ck_assert_uint_eq(daemon_counter(&server, "udp_bytes_in"), 640);
	/* The server counts replies after it has sent them. */
	daemon_await_counter(&server, "udp_messages_out", 64);
	daemon_await_counter(&server, "udp_bytes_out", 640 + 64 * STAMP_LEN);
	close(fd);
}
END_TEST

/* The last segment may be shorter than the limit. */
START_TEST(oversize_segments_are_dropped_and_counted)
{
	int fd = open_client(_i);
	const char *data = random_bytes(4204);

	ck_assert_int_eq(send_segments(fd, data, 4204, 1401), 0);
	expect_segments(fd, data + 4203, 1, 1401);
	ck_assert_int_eq(send_segments(fd, data, 4203, 1401), 0);
	talk(fd, 2, 1400, 1400);
	ck_assert_uint_eq(daemon_counter(&server, "dropped_oversize"), 6);
	ck_assert_int_eq(send_segments(fd, data, 1, 65507), 0);
	expect_segments(fd, data, 1, 1);
	close(fd);
}
END_TEST

START_TEST(clients_of_both_kinds_at_once)
{
	int joined = open_client(2), single = client_udp(port);
	const char *data = random_bytes(3200);

	for (int round = 0; round < 100; round++) {
		ck_assert_int_eq(send_segments(joined, data, 3200, 100), 0);
		client_send(single, "one", 3);
		ck_assert_int_eq(send_segments(joined, data, 320, 10), 0);
		client_send(single, "two", 3);
		expect_segments(joined, data, 3200, 100);
		expect_segments(joined, data, 320, 10);
		client_expect_datagram(single, "one", 3);
		client_expect_datagram(single, "two", 3);
	}
	close(joined);
	close(single);
}
END_TEST

START_TEST(the_reply_is_sent_from_the_address_of_the_request)
{
	int fd = client_udp_to("127.0.0.2", port);

	talk(fd, 10, 10, 3);
	close(fd);
}
END_TEST

/* A reply that is longer than the route's MTU can't be a segment. */
START_TEST(replies_that_fragment_are_sent_singly)
{
	struct daemon other;

	if (unshare(CLONE_NEWNET) == -1) {
		ck_assert_int_eq(errno, EPERM);
		puts("skipped: this user may not create a network namespace");
		return;
	}
	ck_assert_int_eq(system("ip link set lo mtu 1500 up"), 0);
	daemon_start_config(&other,
	    "listeners = ( { protocol = \"udp\"; address = \"127.0.0.1\";"
	    " port = 21567; max_datagram = 1472; } );");
	int fd = client_udp(21567);
	talk(fd, 10, 1472, 1472);
	talk(fd, 10, 1400, 1400);
	ck_assert_uint_eq(daemon_counter(&other, "dropped_send"), 0);
	daemon_await_counter(&other, "udp_messages_out", 20);
	close(fd);
	daemon_stop(&other);
}
END_TEST

/* As 401 datagrams that are the same, of which the last is dropped. */
START_TEST(equal_segments_count_as_equal_datagrams)
{
	static const char data[500];
	int fd = open_client(_i);

	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(send_segments(fd, data, 500, 10), 0);
		expect_segments(fd, data, 500, 10);
	}
	ck_assert_uint_eq(daemon_counter(&server, "dropped_loop"), 0);
	ck_assert_int_eq(send_segments(fd, data, 20, 10), 0);
	daemon_await_counter(&server, "dropped_loop", 1);
	daemon_await_counter(&server, "udp_messages_out", 401);
	expect_segments(fd, data, 10, 10);
	close(fd);
}
END_TEST

/* The same two stamps that end a loop of single datagrams. */
START_TEST(segments_with_two_stamps_are_dropped)
{
	static const char data[] = "[Sat Nov 21 01:15:00 2026] "
				   "[Sun Nov 22 02:16:01 2026] a"
				   "[Sat Nov 21 01:15:00 2026] "
				   "[Sun Nov 22 02:16:01 2026]";
	int fd = open_client(_i);

	ck_assert_int_eq(send_segments(fd, data, sizeof(data) - 1, 55), 0);
	expect_segments(fd, data + 55, sizeof(data) - 1 - 55, 55);
	daemon_await_counter(&server, "dropped_loop", 1);
	close(fd);
}
END_TEST

/* A segment counts as one datagram. */
START_TEST(the_rate_limit_counts_datagrams)
{
	struct daemon other;
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(21567),
	};

	if (unshare(CLONE_NEWNET) == -1) {
		ck_assert_int_eq(errno, EPERM);
		puts("skipped: this user may not create a network namespace");
		return;
	}
	ck_assert_int_eq(
	    system("ip link set lo up && ip addr add 10.99.0.1/32 dev lo"), 0);
	daemon_start_config(&other,
	    "udp: { rate_limit = 1; rate_burst = 10; };\n"
	    "listeners = ( { protocol = \"udp\"; address = \"10.99.0.1\";"
	    " port = 21567; } );");
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	to.sin_addr.s_addr = htonl(0x0a630001);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(send_segments(fd, random_bytes(640), 640, 10),
		    0);
	daemon_await_counter(&other, "udp_messages_in", 640);
	unsigned long long dropped, answered;
	do {
		dropped = daemon_counter(&other, "dropped_rate");
		answered = daemon_counter(&other, "udp_messages_out");
	} while (dropped + answered != 640);
	/* Answered: 10 at once, 1 of the others, and 1 a second. */
	ck_assert_uint_gt(dropped, 400);
	ck_assert_uint_le(dropped, 630);
	close(fd);
	daemon_stop(&other);
}
END_TEST

Suite *
segments_suite(void)
{
	Suite *suite = suite_create("segments");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_loop_test(tests, each_segment_is_answered, 0, 4);
	tcase_add_test(tests, replies_are_segments_too);
	tcase_add_loop_test(tests, oversize_segments_are_dropped_and_counted, 0,
	    4);
	tcase_add_test(tests, clients_of_both_kinds_at_once);
	tcase_add_test(tests,
	    the_reply_is_sent_from_the_address_of_the_request);
	tcase_add_test(tests, replies_that_fragment_are_sent_singly);
	tcase_add_loop_test(tests, equal_segments_count_as_equal_datagrams, 0,
	    4);
	tcase_add_loop_test(tests, segments_with_two_stamps_are_dropped, 0, 4);
	tcase_add_test(tests, the_rate_limit_counts_datagrams);
	suite_add_tcase(suite, tests);
	return suite;
}
