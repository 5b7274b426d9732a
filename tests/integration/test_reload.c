#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
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

START_TEST(the_mode_of_a_path_changes)
{
	static const char *const modes[] = { "0600", "0660" };
	char config[512], folder[64];
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	for (int i = 0; i < 2; i++) {
		snprintf(config, sizeof(config),
		    LISTENERS("{ protocol = \"unix\"; path = \"%s/a\"; "
			      "mode = \"%s\"; }"),
		    folder, modes[i]);
		if (i == 0)
			daemon_start_config(&server, config);
		else
			daemon_reload(&server, config, "reloaded");
		ck_assert_int_eq(stat("a", &status), 0);
		ck_assert_int_eq(status.st_mode & 0777,
		    strtol(modes[i], NULL, 8));
	}
	daemon_stop(&server);
}
END_TEST

/* Who owns the folder has put a link to a file of another user in its place. */
START_TEST(the_mode_of_another_file_stays)
{
	char config[512], folder[64];
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	scratch_write("secret", "");
	ck_assert_int_eq(chmod("secret", 0600), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(config, sizeof(config),
		    LISTENERS("{ protocol = \"unix\"; path = \"%s/a\"; "
			      "mode = \"%s\"; }"),
		    folder, i == 0 ? "0600" : "0666");
		if (i == 0)
			daemon_start_config(&server, config);
		else
			daemon_reload(&server, config,
			    "/a: some of its new settings have no effect: its "
			    "path leads to another file");
		ck_assert_int_eq(unlink("a"), 0);
		ck_assert_int_eq(symlink("secret", "a"), 0);
	}
	ck_assert_int_eq(stat("secret", &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	daemon_stop(&server);
}
END_TEST

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
	    "limits: { idle_timeout = 3; };\n"
	    "stamp: { format = \"rfc3339-ms\"; timezone = \"Asia/Tokyo\"; "
	    "};\n" LISTENERS(TCP("framing = \"line\"; backlog = 5;") "," UDP(
		"max_datagram = 9000;")),
	    "workers: ");
	daemon_await(&server, "a change takes effect after a restart; ");
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

	/* The remaining listener keeps its socket, its port and its clients. */
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
		{ "workers = ;\n", "conf:1:9: the value is missing" },
		{ "wrokers = 1;\n", "conf:1:1: wrokers: no such setting" },
		{ "@include \".\"\n", "conf:1:1: @include is not supported" },
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

/* A listener that serves clients is not closed to make room for another. */
START_TEST(a_narrower_address_needs_a_restart)
{
	char config[256];

	daemon_start_config(&server, LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	snprintf(config, sizeof(config),
	    LISTENERS("{ protocol = \"tcp\"; address = \"127.0.0.1\"; "
		      "port = %d; }"),
	    port);
	daemon_reload(&server, config, "needs a restart: tcp *:");
	daemon_await(&server, "reload refused");
	int fd = client_tcp(port);
	client_talk(fd, "still here");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/*
 * The listener is opened again while the old one still drains: a client waits in
 * its backlog.  The kernel must give no new client to the old one.
 */
START_TEST(a_listener_opened_beside_a_draining_one_gets_all_clients)
{
	enum { CLIENTS = 20 };
	char config[256];
	int clients[CLIENTS];

	daemon_start_config(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	int first = client_tcp(port);
	client_talk(first, "in");
	int waiting = client_tcp(port);
	client_send(waiting, "waiting", 7);
	daemon_await(&server, "max_connections (1)");
	daemon_reload(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(UDP()), "reloaded");
	snprintf(config, sizeof(config),
	    "limits: { max_connections = 1; };\n" LISTENERS(
		"{ protocol = \"tcp\"; port = %d; }"),
	    port);
	daemon_reload(&server, config, "reloaded");
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_tcp(port);
	close(first);
	client_expect(waiting, "waiting", 7);
	close(waiting);
	for (int i = 0; i < CLIENTS; i++) {
		client_talk(clients[i], "new");
		close(clients[i]);
	}
	daemon_stop(&server);
}
END_TEST

/* Returns the lowest number that is not an open descriptor of the process. */
static rlim_t
first_free_fd(pid_t pid)
{
	char path[64], target[64];
	rlim_t fd = 0;

	do
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)fd++);
	while (readlink(path, target, sizeof(target)) != -1);
	return fd - 1;
}

/*
 * Only one more file descriptor is allowed: enough for the socket of the new
 * listener, but not for its thread.
 */
START_TEST(a_reload_that_fails_half_way_changes_nothing)
{
	if (!daemon_is_bare())
		return;
	daemon_start_config(&server, LISTENERS(TCP()));
	int port = daemon_port(&server, "tcp *");
	struct rlimit limit = { first_free_fd(server.pid) + 1, 20000 };
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
	daemon_reload(&server, "stamp: { format = \"%Y\"; };" LISTENERS(UDP()),
	    "serving a new listener: Too many open files");
	daemon_await(&server, "reload refused");
	ck_assert_ptr_null(strstr(server.log, "no longer listening"));
	ck_assert_ptr_null(strstr(server.log, "listening on udp"));
	limit.rlim_cur = 1000;
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &limit, NULL), 0);
	int fd = client_tcp(port);
	client_talk(fd, "still here");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/*
 * While max_connections are open the clients of a draining Unix listener wait,
 * which uses no CPU time.
 */
START_TEST(a_draining_listener_uses_no_cpu)
{
	char config[512], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "limits: { max_connections = 1; };\n" LISTENERS(
		TCP() ","
		      "{ protocol = \"unix\"; path = \"%s/sock\"; }"),
	    folder);
	daemon_start_config(&server, config);
	int first = client_tcp(daemon_port(&server, "tcp *"));
	int waiting = client_unix("sock", SOCK_STREAM);
	struct pollfd silence = { .fd = waiting, .events = POLLIN };

	client_talk(first, "in");
	client_send(waiting, "hello", 5);
	daemon_await(&server, "max_connections (1)");
	daemon_reload(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(TCP()), "reloaded");
	long ticks = daemon_cpu_ticks(&server);
	ck_assert_int_eq(poll(&silence, 1, 1000), 0);
	ck_assert_int_lt(daemon_cpu_ticks(&server) - ticks, 20);
	close(first);
	client_expect(waiting, "hello", 5);
	close(waiting);
	while (access("sock", F_OK) == 0)
		daemon_await_counter(&server, "open", 0);
	daemon_stop(&server);
}
END_TEST

START_TEST(clients_of_a_listener_that_drains_are_served)
{
	daemon_start_config(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(
		TCP() ", "
		      "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = "
		      "0; }"));
	int in = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(in, "in");
	int port = daemon_port(&server, "tcp 127.0.0.1");
	int a = client_tcp(port), b = client_tcp(port);
	client_send(a, "waiting", 7);
	client_send(b, "waiting", 7);
	daemon_await(&server, "max_connections (1)");
	daemon_reload(&server,
	    "limits: { max_connections = 1; };\n" LISTENERS(TCP()), "reloaded");
	client_talk(in, "still in");
	close(in);
	client_expect(a, "waiting", 7);
	close(a);
	client_expect(b, "waiting", 7);
	close(b);
	daemon_stop(&server);
}
END_TEST

/* A reload keeps the listeners of the command line. */
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

START_TEST(a_higher_maximum_admits_clients_that_wait)
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
	tcase_add_test(tests, the_mode_of_a_path_changes);
	tcase_add_test(tests, the_mode_of_another_file_stays);
	tcase_add_test(tests, listeners_come_and_go);
	tcase_add_loop_test(tests, a_bad_file_changes_nothing, 0, 5);
	tcase_add_test(tests, a_broken_file_under_load);
	tcase_add_test(tests, a_narrower_address_needs_a_restart);
	tcase_add_test(tests, a_reload_that_fails_half_way_changes_nothing);
	tcase_add_test(tests, a_draining_listener_uses_no_cpu);
	tcase_add_test(tests, clients_of_a_listener_that_drains_are_served);
	tcase_add_test(tests,
	    a_listener_opened_beside_a_draining_one_gets_all_clients);
	tcase_add_test(tests, the_command_line_stays_in_force);
	tcase_add_test(tests, a_higher_maximum_admits_clients_that_wait);
	suite_add_tcase(suite, tests);
	return suite;
}
