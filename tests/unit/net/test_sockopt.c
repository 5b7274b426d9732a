#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/datagram.h"
#include "harness/client.h"
#include "net/sockopt.h"
#include "unit/suites.h"

static struct sockaddr_any own;

static int
open_any(bool v6_only)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	own = (struct sockaddr_any){ .len = sizeof(own.in6) };
	own.in6.sin6_family = AF_INET6;
	ck_assert_int_eq(sockopt_set_v6_only(fd, v6_only), 0);
	ck_assert_int_eq(sockopt_set_up(fd, PROTOCOL_UDP, AF_INET6), 0);
	ck_assert_int_eq(bind(fd, &own.any, own.len), 0);
	ck_assert_int_eq(getsockname(fd, &own.any, &own.len), 0);
	return fd;
}

static int
open_ipv4(uint32_t ip)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	own = (struct sockaddr_any){ .len = sizeof(own.in) };
	own.in.sin_family = AF_INET;
	own.in.sin_addr.s_addr = htonl(ip);
	ck_assert_int_eq(sockopt_set_up(fd, PROTOCOL_UDP, AF_INET), 0);
	ck_assert_int_eq(bind(fd, &own.any, own.len), 0);
	ck_assert_int_eq(getsockname(fd, &own.any, &own.len), 0);
	return fd;
}

/* Answers what has arrived. */
static void
answer(int fd)
{
	struct datagram_settings settings = { .max_datagram = 100 };
	struct counters counters = { 0 };

	ck_assert_int_eq(stamp_format_compile(&settings.stamp, "ctime", NULL,
			     0),
	    0);
	struct datagram_thread *udp = datagram_start(0, fd, PROTOCOL_UDP, &settings);
	ck_assert_ptr_nonnull(udp);
	datagram_stop(udp, &counters);
}

/* What had come is answered from where it was sent to; nothing comes later. */
static void
leave_and_answer(int fd, const int *clients, int count)
{
	char byte;

	for (int i = 0; i < count; i++)
		client_send(clients[i], "early", 5);
	sockopt_deafen(fd, &own);
	answer(fd);
	for (int i = 0; i < count; i++) {
		client_expect_datagram(clients[i], "early", 5);
		client_send(clients[i], "late", 4);
		ck_assert_int_eq(recv(clients[i], &byte, 1, 0), -1);
		ck_assert_int_eq(errno, ECONNREFUSED);
		close(clients[i]);
	}
	close(fd);
}

START_TEST(who_leaves_gets_nothing_more)
{
	static const uint32_t ips[] = { INADDR_LOOPBACK, INADDR_ANY };
	int fd = open_ipv4(ips[_i]);
	int client = client_udp(sockaddr_port(&own));

	leave_and_answer(fd, &client, 1);
}
END_TEST

START_TEST(who_leaves_ipv6_gets_nothing_more)
{
	int fd = open_any(true);
	int client = client_udp6(sockaddr_port(&own));

	leave_and_answer(fd, &client, 1);
}
END_TEST

START_TEST(who_leaves_both_gets_nothing_more)
{
	int fd = open_any(false);
	int clients[] = { client_udp(sockaddr_port(&own)),
		client_udp6(sockaddr_port(&own)) };

	leave_and_answer(fd, clients, 2);
}
END_TEST

/* Sockets for both families are had there all the same. */
START_TEST(who_leaves_where_ipv6_is_off_gets_nothing_more)
{
	if (unshare(CLONE_NEWNET) == -1 ||
	    system("echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6 &&"
		   "ip link set lo up") != 0) {
		puts("skipped: no network of its own for this user");
		return;
	}
	int fd = open_any(false);
	int client = client_udp(sockaddr_port(&own));
	leave_and_answer(fd, &client, 1);
}
END_TEST

Suite *
sockopt_suite(void)
{
	Suite *suite = suite_create("sockopt");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, who_leaves_gets_nothing_more, 0, 2);
	tcase_add_test(tests, who_leaves_ipv6_gets_nothing_more);
	tcase_add_test(tests, who_leaves_both_gets_nothing_more);
	tcase_add_test(tests, who_leaves_where_ipv6_is_off_gets_nothing_more);
	suite_add_tcase(suite, tests);
	return suite;
}
