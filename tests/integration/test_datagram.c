#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

static struct daemon server;
static int any_port, large_port;

static void
start(void)
{
	char config[1024], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"udp\"; port = 0; },\n"
	    "{ protocol = \"udp\"; address = \"127.0.0.1\"; port = 0;\n"
	    "  max_datagram = 65480; },\n"
	    "{ protocol = \"unix-dgram\"; path = \"%s/dgram\";\n"
	    "  max_datagram = 2000; } );\n",
	    folder);
	daemon_start_config(&server, config);
	any_port = daemon_port(&server, "udp *");
	large_port = daemon_port(&server, "udp 127.0.0.1");
}

static void
stop(void)
{
	daemon_stop(&server);
}

static void
talk(int fd, const void *text, size_t len)
{
	ck_assert_int_eq(send(fd, text, len, 0), (ssize_t)len);
	client_expect_datagram(fd, text, len);
}

START_TEST(ipv4_ipv6_and_unix)
{
	int four = client_udp(any_port), six = client_udp6(any_port);
	int local = client_unix("dgram", SOCK_DGRAM);

	talk(four, "hello", 5);
	talk(six, "hello", 5);
	talk(local, "hello", 5);
	talk(four, "\0\r\n", 3);
	close(four);
	close(six);
	close(local);
}
END_TEST

START_TEST(an_empty_datagram_gets_a_bare_stamp)
{
	int fd = client_udp(any_port), local = client_unix("dgram", SOCK_DGRAM);

	talk(fd, "", 0);
	talk(local, "", 0);
	close(fd);
	close(local);
}
END_TEST

/* It does not affect the next datagram. */
START_TEST(an_oversize_datagram_is_dropped_and_counted)
{
	static char data[65507];
	int fd = client_udp(any_port), large = client_udp(large_port);
	int local = client_unix("dgram", SOCK_DGRAM);

	ck_assert_int_eq(send(fd, data, 1401, 0), 1401);
	talk(fd, data, 1400);
	ck_assert_int_eq(send(large, data, 65507, 0), 65507);
	ck_assert_int_eq(send(large, data, 65481, 0), 65481);
	talk(large, data, 65480);
	ck_assert_int_eq(send(local, data, 2001, 0), 2001);
	talk(local, data, 2000);
	ck_assert_uint_eq(daemon_counter(&server, "dropped_oversize"), 4);
	close(fd);
	close(large);
	close(local);
}
END_TEST

START_TEST(datagrams_are_answered_in_order)
{
	int fd = client_udp(any_port);
	char text[16];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "%d", i);
			ck_assert_int_gt(send(fd, text, strlen(text), 0), 0);
		}
		for (int i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "%d", i);
			client_expect_datagram(fd, text, strlen(text));
		}
	}
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_in"), 2000);
	/* The server counts replies after it has sent them. */
	daemon_await_counter(&server, "udp_messages_out", 2000);
	daemon_await_counter(&server, "udp_bytes_out",
	    daemon_counter(&server, "udp_bytes_in") + 2000 * STAMP_LEN);
	close(fd);
}
END_TEST

static int
udp_from(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
		close(fd);
		return -1;
	}
	address.sin_port = htons((uint16_t)any_port);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	return fd;
}

START_TEST(a_reserved_port_is_not_answered)
{
	if (geteuid() != 0) {
		puts("skipped: this user may not bind reserved ports");
		return;
	}
	for (int port = 1; port < 1024; port += 340) {
		int fd = udp_from(port);
		ck_assert_int_ne(fd, -1);
		ck_assert_int_eq(send(fd, "x", 1, 0), 1);
		close(fd);
	}
	daemon_await_counter(&server, "dropped_port", 4);
	ck_assert_uint_eq(daemon_counter(&server, "udp_messages_out"), 0);
}
END_TEST

/* Only a raw socket can send from port 0. */
START_TEST(port_zero_is_not_answered)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	uint16_t packet[5] = { 0, htons((uint16_t)any_port), htons(10), 0, 0 };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);

	if (fd == -1 && errno == EPERM) {
		puts("skipped: this user may not open a raw socket");
		return;
	}
	ck_assert_int_eq(sendto(fd, packet, sizeof(packet), 0,
			     (struct sockaddr *)&to, sizeof(to)),
	    (ssize_t)sizeof(packet));
	close(fd);
	daemon_await_counter(&server, "dropped_port", 1);
}
END_TEST

/* This holds for the ports of all its sockets, at all addresses. */
START_TEST(own_ports_are_not_answered)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)large_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)any_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to,
			     sizeof(to)),
	    1);
	daemon_await_counter(&server, "dropped_port", 1);
	close(fd);
}
END_TEST

START_TEST(an_unnamed_unix_client_is_counted)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "dgram");
	ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to,
			     sizeof(to)),
	    1);
	daemon_await_counter(&server, "dropped_unnamed", 1);
	close(fd);
}
END_TEST

/* Descriptors that the server received it would have to close. */
START_TEST(descriptors_of_a_unix_client_are_not_taken)
{
	int fd = client_unix("dgram", SOCK_DGRAM);
	int before = daemon_open_files(&server);

	for (int i = 0; i < 10; i++) {
		bool is_sent = client_send_descriptor(fd, "x");
		if (client_may_refuse_descriptors(fd))
			ck_assert(!is_sent);
		client_expect_datagram(fd, "x", 1);
	}
	/* The server closes the client's path after it has sent the reply. */
	while (daemon_open_files(&server) > before)
		;
	close(fd);
}
END_TEST

/*
 * Unread replies fill the send buffer of the server's socket.  The server drops
 * replies to Unix clients until this client ends, and works otherwise.
 */
START_TEST(a_unix_client_that_never_reads_costs_replies)
{
	int deaf = client_unix("dgram", SOCK_DGRAM);
	int other = client_udp(any_port);

	while (daemon_counter(&server, "dropped_send") == 0)
		ck_assert_int_eq(send(deaf, "x", 1, 0), 1);
	talk(other, "hello", 5);
	close(deaf);
	close(other);
	other = client_unix("dgram", SOCK_DGRAM);
	talk(other, "hello", 5);
	close(other);
}
END_TEST

/* The client is connected to 127.0.0.2, so it receives from there only. */
START_TEST(the_reply_is_sent_from_the_address_of_the_request)
{
	int fd = client_udp_to("127.0.0.2", any_port);

	talk(fd, "hello", 5);
	close(fd);
}
END_TEST

Suite *
datagram_suite(void)
{
	Suite *suite = suite_create("datagram");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, ipv4_ipv6_and_unix);
	tcase_add_test(tests, an_empty_datagram_gets_a_bare_stamp);
	tcase_add_test(tests, an_oversize_datagram_is_dropped_and_counted);
	tcase_add_test(tests, datagrams_are_answered_in_order);
	tcase_add_test(tests, a_reserved_port_is_not_answered);
	tcase_add_test(tests, port_zero_is_not_answered);
	tcase_add_test(tests, own_ports_are_not_answered);
	tcase_add_test(tests, an_unnamed_unix_client_is_counted);
	tcase_add_test(tests, descriptors_of_a_unix_client_are_not_taken);
	tcase_add_test(tests, a_unix_client_that_never_reads_costs_replies);
	tcase_add_test(tests,
	    the_reply_is_sent_from_the_address_of_the_request);
	suite_add_tcase(suite, tests);
	return suite;
}
