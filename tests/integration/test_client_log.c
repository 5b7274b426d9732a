#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define TCP "listeners = ( { protocol = \"tcp\"; port = 0; } );\n"
#define CLIENTS 200

static struct daemon server;

/* "from 127.0.0.1:40133", as the log shows this client. */
static const char *
name_of(int fd, char text[64])
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof(address);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(text, 64, "from %s:%d: ", inet_ntoa(address.sin_addr),
	    ntohs(address.sin_port));
	return text;
}

START_TEST(says_who_came_and_what_it_had)
{
	char from[64];

	daemon_start_config(&server, "log_connections = true;\n" TCP);
	int port = daemon_port(&server, "tcp *"), fd = client_tcp(port);
	daemon_await(&server, " info: tcp 127.0.0.1:");
	daemon_await(&server, name_of(fd, from));
	daemon_await(&server, "open\n");
	client_talk(fd, "secret");
	client_talk(fd, "\x1b[2Jsecret\n");
	close(fd);
	daemon_await(&server, from);
	daemon_await(&server,
	    "closed, the client closed: 2 messages, 17 bytes in, 71 bytes out");
	fd = client_tcp6(port);
	daemon_await(&server, "from [::1]:");
	close(fd);
	daemon_await(&server, "closed, the client closed: 0 messages, ");
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopped");
	ck_assert_ptr_null(strstr(server.log, "secret"));
	daemon_finish(&server);
}
END_TEST

START_TEST(says_nothing_unless_asked)
{
	daemon_start_config(&server, TCP);
	int port = daemon_port(&server, "tcp *"), fd = client_tcp(port);
	client_talk(fd, "hello");
	daemon_reload(&server, "log_connections = true;\n" TCP, "reloaded");
	int named = client_tcp(port);
	daemon_await(&server, ": open\n");
	/* The first one came before. */
	close(fd);
	daemon_await_counter(&server, "closed_client", 1);
	ck_assert_ptr_null(strstr(server.log, "closed, "));
	daemon_reload(&server, TCP, "reloaded");
	close(named);
	daemon_await_counter(&server, "closed_client", 2);
	fd = client_tcp(port);
	client_talk(fd, "hello");
	close(fd);
	daemon_await_counter(&server, "closed_client", 3);
	ck_assert_ptr_null(strstr(server.log, "closed, "));
	daemon_stop(&server);
}
END_TEST

/* The number of times that text is in the log. */
static int
count(const char *text)
{
	int n = 0;

	for (const char *at = server.log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* The sum of the numbers in front of text. */
static int
sum_before(const char *text)
{
	int sum = 0;

	for (const char *at = server.log; (at = strstr(at, text)); at++) {
		const char *number = at;
		while (number > server.log && number[-1] != ' ')
			number--;
		sum += atoi(number);
	}
	return sum;
}

static int
count_all(void)
{
	return count(": open\n") + count(": closed, ") +
	       sum_before(" lines about connections are left");
}

/* All clients that come singly go to one worker, which may write ten lines. */
static void
leave_lines_out(void)
{
	daemon_start_config(&server,
	    "workers = 20; log_connections = true;\n" TCP);
	int port = daemon_port(&server, "tcp *");

	for (int i = 0; i < CLIENTS; i++)
		close(client_tcp(port));
	daemon_await_counter(&server, "accepted", CLIENTS);
	daemon_await_counter(&server, "open", 0);
}

START_TEST(counts_what_it_leaves_out)
{
	leave_lines_out();
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopped");
	ck_assert_int_eq(count_all(), 2 * CLIENTS);
	ck_assert_int_gt(count("are left out"), 0);
	daemon_finish(&server);
}
END_TEST

/* Their second ends when nobody comes any more. */
START_TEST(says_it_without_another_client)
{
	leave_lines_out();
	while (count_all() < 2 * CLIENTS)
		daemon_await(&server, "are left out");
	ck_assert_int_eq(count_all(), 2 * CLIENTS);
	daemon_stop(&server);
}
END_TEST

START_TEST(follows_a_connection_through_a_restart)
{
	char from[64];

	manager_open(1000);
	setenv("FDSTORE", "1000", 1);
	manager_start(&server, "log_connections = true;\n" TCP);
	manager_await("READY=1");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	daemon_signal(&server, SIGUSR2);
	daemon_await(&server, name_of(fd, from));
	daemon_await(&server, from);
	daemon_await(&server, "handed over: 1 messages, 5 bytes in, 32 bytes");
	daemon_finish(&server);
	manager_start(&server, "log_connections = true;\n" TCP);
	client_talk(fd, "again");
	close(fd);
	daemon_await(&server, "closed, the client closed: 1 messages, ");
	/* Before or after it was ready. */
	strcat(from, "taken over\n");
	ck_assert_ptr_nonnull(strstr(server.log, from));
	daemon_stop(&server);
}
END_TEST

Suite *
client_log_suite(void)
{
	Suite *suite = suite_create("client_log");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, says_who_came_and_what_it_had);
	tcase_add_test(tests, says_nothing_unless_asked);
	tcase_add_test(tests, counts_what_it_leaves_out);
	tcase_add_test(tests, says_it_without_another_client);
	tcase_add_test(tests, follows_a_connection_through_a_restart);
	suite_add_tcase(suite, tests);
	return suite;
}
