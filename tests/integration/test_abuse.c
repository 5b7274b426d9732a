#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define LISTENERS                                                              \
	"listeners = ( { protocol = \"tcp\"; port = 0; },\n"                   \
	"{ protocol = \"udp\"; port = 0; } );\n"
#define LOG_LINES_MAX 10 /* without the counters that the test asks for */
#define RESETS 5000
#define FLOODS 200
#define FLOOD 50 /* datagrams sent at once */
#define MANY 15000
#define ROUNDS 8    /* of 32 KiB: more than all buffers on the path hold */
#define KEPT_KIB 65 /* the server keeps 64 KiB, and some state */

static struct daemon server;
static int tcp_port, udp_port, normal;

static void
start(void)
{
	scratch_enter();
	daemon_start_config(&server,
	    "workers = 2; limits: { max_connections = 16000; };\n" LISTENERS);
	tcp_port = daemon_port(&server, "tcp *");
	udp_port = daemon_port(&server, "udp *");
	normal = client_tcp(tcp_port);
	client_talk(normal, "before");
}

/* The server works as before the abuse, and has logged few lines about it. */
static void
stop(void)
{
	client_talk(normal, "after");
	daemon_await_counter(&server, "open", 1);
	ck_assert_int_le(daemon_log_lines(&server), LOG_LINES_MAX);
	close(normal);
	daemon_stop(&server);
	scratch_leave();
}

static void
reset(int fd)
{
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none,
			     sizeof(none)),
	    0);
	close(fd);
}

/* Some connections are not yet accepted, some have a reply on its way. */
START_TEST(a_storm_of_resets_costs_no_other_client)
{
	for (int i = 0; i < RESETS; i++) {
		int fd = client_tcp(tcp_port);

		if (i % 3 != 0)
			client_send(fd, "hello", 5);
		if (i % 3 == 2)
			client_expect(fd, "hello", 5);
		reset(fd);
		if (i % 50 == 0)
			client_talk(normal, "meanwhile");
	}
	/* Those that wait in the backlog are not open yet. */
	while (daemon_counter(&server, "accepted") +
		   daemon_counter(&server, "accept_errors") !=
	       RESETS + 1)
		;
	daemon_await_counter(&server, "open", 1);
}
END_TEST

START_TEST(no_cpu_time_goes_into_waiting_for_file_descriptors)
{
	struct rlimit none = { 3, 20000 }, enough;
	int fds[20];

	if (!daemon_is_bare())
		return;
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &none, &enough), 0);
	for (int i = 0; i < 20; i++) {
		fds[i] = client_tcp(tcp_port);
		client_send(fds[i], "hello", 5);
	}
	daemon_await(&server, "accept: Too many open files");
	long ticks = daemon_cpu_ticks(&server);
	/* This client has to wait, and that costs nothing. */
	client_expect_silence(fds[19], 2000);
	ck_assert_int_le(daemon_cpu_ticks(&server) - ticks, 10);
	client_talk(normal, "meanwhile");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &enough, NULL), 0);
	for (int i = 0; i < 20; i++) {
		client_expect(fds[i], "hello", 5);
		close(fds[i]);
	}
}
END_TEST

/* Repeat: while a flood fills the server's buffer the kernel drops datagrams. */
static void
talk_until_answered(int fd)
{
	struct pollfd reply = { .fd = fd, .events = POLLIN };

	do
		client_send(fd, "hello", 5);
	while (poll(&reply, 1, 100) == 0);
	do
		client_expect_datagram(fd, "hello", 5);
	while (poll(&reply, 1, 0) == 1);
}

/* Returns -1 if this user may not bind such a port. */
static int
open_reserved(void)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = client_udp(udp_port);

	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (uint16_t port = 1023; port > 900; port--) {
		struct sockaddr_in to = from;

		from.sin_port = htons(port);
		to.sin_port = htons((uint16_t)udp_port);
		if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
		    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
			return fd;
	}
	close(fd);
	return -1;
}

START_TEST(a_flood_of_datagrams_costs_datagrams)
{
	static char garbage[65507];
	int fds[] = { client_udp(udp_port), client_udp6(udp_port),
		open_reserved() };
	int friend = client_udp(udp_port);
	long before = daemon_private_memory(&server);

	for (size_t i = 0; i < sizeof(garbage); i++)
		garbage[i] = (char)(i * 2654435761U >> 13);
	for (int i = 0; i < FLOODS; i++) {
		for (int j = 0; j < FLOOD; j++) {
			size_t len = j % 10 == 0 ? sizeof(garbage) - (size_t)i
			                         : (size_t)(i * j) % 2000;
			int fd = fds[j % 3];
			if (fd != -1)
				send(fd, garbage + i, len % 60000,
				    MSG_DONTWAIT);
		}
		if (i % 20 == 0)
			talk_until_answered(friend);
	}
	talk_until_answered(friend);
	ck_assert_uint_gt(daemon_counter(&server, "dropped_oversize"), 0);
	if (fds[2] != -1)
		ck_assert_uint_gt(daemon_counter(&server, "dropped_port"), 0);
	if (daemon_is_bare())
		ck_assert_int_lt(daemon_private_memory(&server) - before,
		    8 << 10);
	for (int i = 0; i < 3; i++)
		if (fds[i] != -1)
			close(fds[i]);
	close(friend);
}
END_TEST

/* Checks the table in timestampd(8), which is for UDP over IPv4. */
START_TEST(a_datagram_is_amplified_as_the_manual_says)
{
	static const struct {
		size_t request, reply;
		int percent; /* bytes sent per bytes received, with headers */
	} table[] = { { 0, 27, 197 }, { 1, 28, 194 }, { 64, 91, 130 },
		{ 512, 539, 105 }, { 1400, 1427, 102 }, { 1401, 0, 0 } };
	enum { HEADERS = 20 + 8, TIMES = 10 };
	char data[1401], reply[2048];
	int fd = client_udp(udp_port);

	memset(data, 'x', sizeof(data));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t sent = 0, received = 0;
		for (int j = 0; j < TIMES; j++) {
			client_send(fd, data, table[i].request);
			sent += HEADERS + table[i].request;
		}
		/* The reply to "end" is the last one. */
		client_send(fd, "end", 3);
		for (;;) {
			ssize_t n = recv(fd, reply, sizeof(reply), 0);
			if (n == STAMP_LEN + 3)
				break;
			ck_assert_int_eq(n, (ssize_t)table[i].reply);
			received += HEADERS + (size_t)n;
		}
		ck_assert_int_eq(recv(fd, reply, sizeof(reply), MSG_DONTWAIT),
		    -1);
		ck_assert_uint_le(received * 100,
		    sent * (size_t)table[i].percent);
		if (table[i].reply != 0)
			ck_assert_uint_eq(received,
			    TIMES * (HEADERS + table[i].reply));
	}
	close(fd);
}
END_TEST

/* One client in three never reads; the others send a byte now and then. */
START_TEST(thousands_that_do_not_read_do_not_disturb_the_others)
{
	static char piece[32 << 10];
	static int fds[MANY];
	struct rlimit limit = { MANY + 1000, MANY + 1000 };

	if (!daemon_is_bare())
		return;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	long before = daemon_private_memory(&server);
	for (int i = 0; i < MANY; i++)
		fds[i] = client_tcp_tight("127.0.0.1", tcp_port);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < MANY; i++)
			send(fds[i], piece, i % 3 == 0 ? sizeof(piece) : 1,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		client_talk(normal, "meanwhile");
	}
	long memory = daemon_private_memory(&server) - before;
	ck_assert_msg(memory > (long)MANY / 3,
	    "%ld KiB: too little for unread replies", memory);
	ck_assert_msg(memory < (long)MANY / 3 * KEPT_KIB, "%ld KiB", memory);
	ck_assert_uint_eq(daemon_counter(&server, "closed_error"), 0);
	client_talk(normal, "meanwhile");
	for (int i = 0; i < MANY; i++)
		reset(fds[i]);
}
END_TEST

Suite *
abuse_suite(void)
{
	Suite *suite = suite_create("abuse");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, a_storm_of_resets_costs_no_other_client);
	tcase_add_test(tests,
	    no_cpu_time_goes_into_waiting_for_file_descriptors);
	tcase_add_test(tests, a_flood_of_datagrams_costs_datagrams);
	tcase_add_test(tests, a_datagram_is_amplified_as_the_manual_says);
	tcase_add_test(tests,
	    thousands_that_do_not_read_do_not_disturb_the_others);
	suite_add_tcase(suite, tests);
	return suite;
}
