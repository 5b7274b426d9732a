#include <errno.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "scratch.h"
#include "suites.h"

#define TCP(more) "{ protocol = \"tcp\"; port = 0; " more "}"
#define UDP(more) "{ protocol = \"udp\"; port = 0; " more "}"
#define LISTENERS(list) "listeners = ( " list " );\n"

static struct daemon server;

static void
assert_reply_like(int fd, const char *pattern)
{
	char reply[256];
	regex_t compiled;

	client_send(fd, "x\n", 2);
	ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);
	ck_assert_int_gt(n, 0);
	reply[n] = '\0';
	ck_assert_int_eq(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB),
	    0);
	ck_assert_msg(regexec(&compiled, reply, 0, NULL, 0) == 0, "%s", reply);
	regfree(&compiled);
}

START_TEST(settings_change_in_place)
{
	daemon_start_config(&server, LISTENERS(TCP() "," UDP()));
	int port = daemon_port(&server, "tcp *");
	int old = client_tcp(port);
	int udp = client_udp(daemon_port(&server, "udp *"));
	static char large[1401];

	client_talk(old, "before");
	client_send(udp, "x", 1);
	client_expect_datagram(udp, "x", 1);
	daemon_reload(&server,
	    "log_level = \"debug\"; workers = 7;\n"
	    "limits: { idle_timeout = 1; };\n"
	    "stamp: { format = \"rfc3339-ms\"; timezone = \"Asia/Tokyo\"; "
	    "};\n" LISTENERS(TCP("framing = \"line\"; backlog = 5;") "," UDP(
		"max_datagram = 9000;")),
	    "workers: ");
	daemon_await(&server, "run until a restart");
	daemon_await(&server, "reloaded");
	assert_reply_like(old, "^\\[2[-0-9]+T[:0-9]+\\.[0-9]{3}\\+09:00\\] x");
	assert_reply_like(udp, "^\\[2[-0-9]+T[:0-9]+\\.[0-9]{3}\\+09:00\\] x");
	client_send(udp, large, sizeof(large));
	ck_assert_int_gt(recv(udp, large, sizeof(large), 0), 1400);
	int new = client_tcp(port);
	daemon_await(&server, ": open\n");
	client_send(new, "a\nb\n", 4);
	char reply[70];
	client_read(new, reply, 68);
	ck_assert_ptr_nonnull(memmem(reply, 68, "] a\n[", 5));
	client_expect_end(old);
	client_expect_end(new);
	close(old);
	close(new);
	close(udp);
	daemon_stop(&server);
}
END_TEST

START_TEST(listeners_come_and_go)
{
	char config[512], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	daemon_start_config(&server, LISTENERS(TCP() "," UDP()));
	int tcp_port = daemon_port(&server, "tcp *");
	int old = client_tcp(tcp_port);
	client_talk(old, "before");
	snprintf(config, sizeof(config),
	    LISTENERS(TCP() ", { protocol = \"unix\"; path = \"%s/a\"; }, "
			    "{ protocol = \"unix-dgram\"; path = \"%s/b\"; }"),
	    folder, folder);
	daemon_reload(&server, config, "no longer listening on udp");
	daemon_await(&server, "reloaded");

	/* The one that stays has its socket, its port and its clients. */
	client_talk(old, "after");
	int fd = client_tcp(tcp_port);
	client_talk(fd, "new");
	close(fd);
	fd = client_unix("a", SOCK_STREAM);
	client_talk(fd, "hello");
	close(fd);
	fd = client_unix("b", SOCK_DGRAM);
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	close(fd);

	daemon_reload(&server, LISTENERS(UDP()), "no longer listening on tcp");
	daemon_await(&server, "reloaded");
	ck_assert_int_eq(access("a", F_OK), -1);
	ck_assert_int_eq(access("b", F_OK), -1);
	client_talk(old, "even now");
	close(old);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_bad_file_changes_nothing)
{
	static const struct {
		const char *config, *complaint;
	} cases[] = {
		{ "workers = ;\n", "conf:1: syntax error" },
		{ "wrokers = 1;\n", "conf:1: wrokers: no such setting" },
		{ "@include \".\"\n", "cannot read .: not a regular file" },
		{ "stamp: { format = \"epoch\"; };\n" LISTENERS(
		      UDP() ","
			    "{ protocol = \"tcp\"; address = \"198.51.100.1\"; "
			    "port = 1; "
			    "}"),
		    "198.51.100.1:1: bind: Cannot assign" },
		{ "stamp: { format = \"epoch\"; };\n" LISTENERS(
		      "{ protocol = \"tcp\"; address = \"a.invalid\"; }"),
		    "a.invalid: host not found" },
	};

	daemon_start_config(&server, LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	int fd = client_tcp(port);
	client_talk(fd, "before");
	daemon_reload(&server, cases[_i].config, cases[_i].complaint);
	daemon_await(&server, "reload refused");
	client_talk(fd, "after");
	close(fd);
	fd = client_tcp(port);
	client_talk(fd, "new");
	close(fd);
	daemon_reload(&server, LISTENERS(TCP()), "reloaded");
	daemon_stop(&server);
}
END_TEST

START_TEST(a_broken_file_under_load)
{
	daemon_start_config(&server, LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	int fds[50];

	for (int i = 0; i < 50; i++)
		fds[i] = client_tcp(port);
	scratch_write("conf", "workers = ;");
	for (int round = 0; round < 20; round++) {
		daemon_signal(&server, SIGHUP);
		for (int i = 0; i < 50; i++)
			client_send(fds[i], "hello", 5);
		for (int i = 0; i < 50; i++)
			client_expect(fds[i], "hello", 5);
	}
	daemon_await(&server, "reload refused");
	for (int i = 0; i < 50; i++)
		close(fds[i]);
	daemon_stop(&server);
}
END_TEST

/* A command line keeps its word over a reload. */
START_TEST(the_command_line_stays_in_force)
{
	const char *const arguments[] = { "-c", "conf", "-l", "tcp:127.0.0.1:0",
		NULL };

	scratch_write("conf", LISTENERS(UDP()));
	daemon_start(&server, arguments);
	int port = daemon_port(&server, "tcp 127.0.0.1");
	daemon_reload(&server, "stamp: { format = \"%Y\"; };\n", "reloaded");
	int fd = client_tcp(port);
	assert_reply_like(fd, "^\\[2[0-9]{3}\\] x\n$");
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_new_maximum_lets_clients_in)
{
	daemon_start_config(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	int first = client_tcp(port), second = client_tcp(port);

	client_talk(first, "in");
	client_send(second, "waits", 5);
	daemon_await(&server, "max_connections (1) are open");
	daemon_reload(&server,
	    "limits: { max_connections = 2; };\n" LISTENERS(TCP()), "reloaded");
	client_expect(second, "waits", 5);
	close(first);
	close(second);
	daemon_stop(&server);
}
END_TEST

Suite *
reload_suite(void)
{
	Suite *suite = suite_create("reload");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, settings_change_in_place);
	tcase_add_test(tests, listeners_come_and_go);
	tcase_add_loop_test(tests, a_bad_file_changes_nothing, 0, 5);
	tcase_add_test(tests, a_broken_file_under_load);
	tcase_add_test(tests, the_command_line_stays_in_force);
	tcase_add_test(tests, a_new_maximum_lets_clients_in);
	suite_add_tcase(suite, tests);
	return suite;
}
