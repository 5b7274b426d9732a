#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "net/sockopt.h"
#include "unit/suites.h"

/* A socket of type bound to address, and where it is bound. */
static int
open_at(int type, struct sockaddr_any *address, bool is_shared)
{
	int fd = socket(address->any.sa_family, type, 0);

	if (is_shared)
		ck_assert_int_eq(sockopt_set(fd, SOL_SOCKET, SO_REUSEPORT,
				     true),
		    0);
	if (bind(fd, &address->any, address->len) == -1 ||
	    getsockname(fd, &address->any, &address->len) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static struct sockaddr_any
loopback(void)
{
	struct sockaddr_any address = { .len = sizeof(address.in) };

	address.in.sin_family = AF_INET;
	address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

START_TEST(a_socket_tells_its_protocol)
{
	static const struct {
		int domain, type, transport;
		bool listens;
		int protocol;
	} cases[] = {
		{ AF_INET, SOCK_STREAM, 0, true, PROTOCOL_TCP },
		{ AF_INET6, SOCK_STREAM, 0, true, PROTOCOL_TCP },
		{ AF_INET, SOCK_STREAM, 0, false, -1 },
		{ AF_INET, SOCK_STREAM, IPPROTO_MPTCP, true, -1 },
		{ AF_INET6, SOCK_DGRAM, 0, false, PROTOCOL_UDP },
		{ AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, false, -1 },
		{ AF_UNIX, SOCK_STREAM, 0, true, PROTOCOL_UNIX },
		{ AF_UNIX, SOCK_STREAM, 0, false, -1 },
		{ AF_UNIX, SOCK_SEQPACKET, 0, true, PROTOCOL_UNIX_SEQPACKET },
		{ AF_UNIX, SOCK_DGRAM, 0, false, PROTOCOL_UNIX_DGRAM },
	};
	struct sockaddr unnamed = { .sa_family = AF_UNIX };
	int fd = socket(cases[_i].domain, cases[_i].type, cases[_i].transport);

	if (fd == -1) /* a kernel without MPTCP or UDP-Lite */
		return;
	if (cases[_i].domain == AF_UNIX)
		ck_assert_int_eq(bind(fd, &unnamed, sizeof(sa_family_t)), 0);
	if (cases[_i].listens)
		ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(sockopt_protocol(fd), cases[_i].protocol);
	close(fd);
}
END_TEST

START_TEST(what_is_no_socket_has_no_protocol)
{
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(sockopt_protocol(ends[0]), -1);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(an_address_is_shared_and_then_no_more)
{
	struct sockaddr_any address = loopback();
	int a = open_at(SOCK_DGRAM, &address, true);
	int b = open_at(SOCK_DGRAM, &address, true);

	ck_assert_int_ne(a, -1);
	ck_assert_int_ne(b, -1);
	close(b);
	ck_assert_int_eq(sockopt_set(a, SOL_SOCKET, SO_REUSEPORT, false), 0);
	ck_assert_int_eq(open_at(SOCK_DGRAM, &address, true), -1);
	close(a);
}
END_TEST

START_TEST(a_dropped_syn_lets_no_one_in)
{
	struct sockaddr_any address = loopback();
	int fd = open_at(SOCK_STREAM, &address, false);

	ck_assert_int_eq(listen(fd, 5), 0);
	int early = client_tcp(sockaddr_port(&address));
	sockopt_drop_syn(fd);
	if (!client_is_kept_out(fd))
		return;
	int late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(connect(late, &address.any, address.len), -1);
	ck_assert_int_eq(errno, EINPROGRESS);
	ck_assert_int_eq(sockopt_set_nonblocking(fd), 0);
	int accepted = accept(fd, NULL, NULL);
	ck_assert_int_ne(accepted, -1);
	ck_assert_int_eq(accept(fd, NULL, NULL), -1);
	ck_assert_int_eq(errno, EAGAIN);
	/* A connection that is there goes on. */
	client_send(early, "x", 1);
	char byte;
	ck_assert_int_eq(recv(accepted, &byte, 1, 0), 1);
	close(accepted);
	close(early);
	close(late);
	close(fd);
}
END_TEST

START_TEST(ipv6_alone_or_both)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	for (int on = 0; on < 2; on++) {
		ck_assert_int_eq(sockopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, on),
		    0);
		ck_assert_int_eq(sockopt_get(fd, IPPROTO_IPV6, IPV6_V6ONLY),
		    on);
	}
	close(fd);
}
END_TEST

START_TEST(each_socket_has_a_number_of_its_own)
{
	uint64_t a, b, again;
	int one = socket(AF_INET, SOCK_DGRAM, 0);
	int two = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(sockopt_cookie(one, &a), 0);
	ck_assert_int_eq(sockopt_cookie(two, &b), 0);
	ck_assert_int_eq(sockopt_cookie(one, &again), 0);
	ck_assert_uint_ne(a, b);
	ck_assert_uint_eq(a, again);
	close(one);
	close(two);
}
END_TEST

/* The options that keep forged ICMP messages from having an effect. */
START_TEST(no_udp_socket_discovers_mtus)
{
	int four = socket(AF_INET, SOCK_DGRAM, 0);
	int six = socket(AF_INET6, SOCK_DGRAM, 0);

	ck_assert_int_eq(sockopt_set_up(four, PROTOCOL_UDP, AF_INET), 0);
	ck_assert_int_eq(sockopt_set_up(six, PROTOCOL_UDP, AF_INET6), 0);
	ck_assert_int_eq(sockopt_get(four, IPPROTO_IP, IP_MTU_DISCOVER),
	    IP_PMTUDISC_OMIT);
	ck_assert_int_eq(sockopt_get(six, IPPROTO_IP, IP_MTU_DISCOVER),
	    IP_PMTUDISC_OMIT);
	ck_assert_int_eq(sockopt_get(six, IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	    IPV6_PMTUDISC_OMIT);
	close(four);
	close(six);
}
END_TEST

/* A size that any user gets, at most SOCKOPT_SEND_BUFFER. */
static int
granted(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sockopt_set(fd, SOL_SOCKET, SO_SNDBUF, SOCKOPT_SEND_BUFFER);
	int size = sockopt_send_buffer(fd);
	close(fd);
	return size;
}

START_TEST(a_udp_send_buffer_is_raised)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int large = socket(AF_INET, SOCK_DGRAM, 0);
	int passed = socket(AF_INET, SOCK_DGRAM, 0);
	bool may_force = sockopt_set(large, SOL_SOCKET, SO_SNDBUFFORCE,
			     2 * SOCKOPT_SEND_BUFFER) == 0;

	ck_assert_int_eq(sockopt_set_up(fd, PROTOCOL_UDP, AF_INET), 0);
	ck_assert_int_eq(sockopt_send_buffer(fd),
	    may_force ? SOCKOPT_SEND_BUFFER : granted());
	if (may_force) {
		sockopt_set(passed, SOL_SOCKET, SO_SNDBUFFORCE,
		    SOCKOPT_SEND_BUFFER / 2);
		ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
		/* What a socket unit gave, its user does not take away. */
		sockopt_set_up(large, PROTOCOL_UDP, AF_INET);
		ck_assert_int_eq(sockopt_send_buffer(large),
		    2 * SOCKOPT_SEND_BUFFER);
		sockopt_set_up(passed, PROTOCOL_UDP, AF_INET);
		ck_assert_int_ge(sockopt_send_buffer(passed),
		    SOCKOPT_SEND_BUFFER / 2);
		ck_assert_int_ge(sockopt_send_buffer(passed), granted());
	}
	close(passed);
	close(large);
	close(fd);
}
END_TEST

START_TEST(a_busy_client_of_this_host_gets_larger_buffers)
{
	struct sockaddr_any address = loopback();
	int fd = open_at(SOCK_STREAM, &address, false);
	int client = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(sockopt_set_buffers(fd, 20000), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(connect(client, &address.any, address.len), 0);
	int accepted = accept(fd, NULL, NULL);
	ck_assert_int_eq(sockopt_get(accepted, SOL_SOCKET, SO_RCVBUF), 40000);
	sockopt_widen(accepted);
	ck_assert_int_eq(sockopt_get(accepted, SOL_SOCKET, SO_RCVBUF), 120000);
	ck_assert_int_eq(sockopt_get(accepted, SOL_SOCKET, SO_SNDBUF), 120000);
	/* It has no peer. */
	sockopt_widen(fd);
	ck_assert_int_eq(sockopt_get(fd, SOL_SOCKET, SO_RCVBUF), 40000);
	close(accepted);
	close(client);
	close(fd);
}
END_TEST

Suite *
sockopt_suite(void)
{
	Suite *suite = suite_create("sockopt");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_socket_tells_its_protocol, 0, 10);
	tcase_add_test(tests, what_is_no_socket_has_no_protocol);
	tcase_add_test(tests, an_address_is_shared_and_then_no_more);
	tcase_add_test(tests, a_dropped_syn_lets_no_one_in);
	tcase_add_test(tests, ipv6_alone_or_both);
	tcase_add_test(tests, a_busy_client_of_this_host_gets_larger_buffers);
	tcase_add_test(tests, each_socket_has_a_number_of_its_own);
	tcase_add_test(tests, no_udp_socket_discovers_mtus);
	tcase_add_test(tests, a_udp_send_buffer_is_raised);
	suite_add_tcase(suite, tests);
	return suite;
}
