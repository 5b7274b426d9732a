#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define ASK(...) ((const char *const[]){ "-c", "conf", __VA_ARGS__, NULL })
#define TCP "listeners = ( { protocol = \"tcp\"; port = 0; } );\n"
#define CLIENTS 16
#define SILENT 2

/* The configuration text, with the control socket in the scratch folder. */
static const char *
with_control(const char *name, const char *text)
{
	static char config[1024];
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config), "control = \"%s/%s\";\n%s", folder,
	    name, text);
	return config;
}

static void
start(struct daemon *server, const char *text)
{
	daemon_start_config(server, with_control("ask", text));
}

/* Runs timestampd with arguments: it ends with status, and says text. */
static void
assert_says(const char *const *arguments, int status, const char *text)
{
	struct daemon asker;
	int ended = daemon_run(&asker, arguments);

	ck_assert_msg(ended == status && strstr(asker.log, text) != NULL,
	    "ended with %d, not with %d and '%s':\n%s", ended, status, text,
	    asker.log);
	free(asker.log);
}

static int
ask(const char *request)
{
	int fd = client_unix("ask", SOCK_SEQPACKET);

	client_send(fd, request, strlen(request));
	return fd;
}

static void
assert_answer(int fd, const char *start_of_it)
{
	char answer[32768] = "";
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);

	ck_assert_int_ge(n, 0);
	ck_assert_msg(strncmp(answer, start_of_it, strlen(start_of_it)) == 0,
	    "not '%s' but '%s'", start_of_it, answer);
	client_expect_end(fd);
	close(fd);
}

START_TEST(a_reload_is_waited_for)
{
	struct daemon server;
	char reply[5];

	start(&server, TCP);
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	scratch_write("conf",
	    with_control("ask", "stamp: { format = \"%%\"; };\n" TCP));
	assert_says(ASK("-r"), 0, "");
	client_send(fd, "x", 1);
	client_read(fd, reply, 5);
	ck_assert_mem_eq(reply, "[%] x", 5);
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_refused_reload_has_reasons)
{
	struct daemon server;

	start(&server, TCP);
	scratch_write("conf", "wrokers = 1;\n");
	assert_says(ASK("-r"), EX_CONFIG, "conf:1:1: wrokers: no such setting");
	scratch_write("conf",
	    with_control("ask", "listeners = ( { protocol = \"tcp\"; "
				"address = \"198.51.100.1\"; } );\n"));
	assert_says(ASK("-r"), EX_CONFIG, "198.51.100.1:21567: bind: Cannot");
	/* The text could be a command for the terminal. */
	scratch_write("conf",
	    with_control("ask", "listeners = ( { protocol = \"tcp\"; address = "
				"\"\033[31m.invalid\"; } );\n"));
	assert_says(ASK("-r"), EX_CONFIG,
	    "\\x1b[31m.invalid\" is not an IP address");
	daemon_stop(&server);
}
END_TEST

START_TEST(where_no_server_is)
{
	struct daemon server;

	start(&server, TCP);
	daemon_stop(&server);
	assert_says(ASK("-r"), EX_UNAVAILABLE, "/ask: No such file or");
	assert_says(ASK("-s"), EX_UNAVAILABLE, "/ask: No such file or");
	start(&server, TCP);
	daemon_signal(&server, SIGKILL);
	daemon_wait(&server);
	free(server.log);
	assert_says(ASK("-r"), EX_UNAVAILABLE, "/ask: Connection refused");
	/* What it left behind is replaced. */
	start(&server, TCP);
	assert_says(ASK("-r"), 0, "");
	scratch_write("conf", "control = \"\";\n");
	assert_says(ASK("-r"), EX_UNAVAILABLE, "control = \"\"");
	daemon_stop(&server);
}
END_TEST

START_TEST(counters_are_shown)
{
	struct daemon server;

	start(&server, TCP);
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	assert_says(ASK("-s"), 0, "open 1\naccepted 1\ntaken_over 0\n");
	assert_says(ASK("-s"), 0, "\ntcp_bytes_in 5\n");
	assert_says(ASK("-sj"), 0, "{\"open\": 1, \"accepted\": 1, ");
	assert_says(ASK("--status", "--json"), 0, ", \"tcp_bytes_in\": 5, ");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* Many at once, which are answered one after the other; and nonsense. */
START_TEST(requests_of_all_kinds)
{
	struct daemon server;
	int fds[CLIENTS];

	start(&server, TCP);
	daemon_pause(&server);
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = ask(i % 2 == 0 ? "counters" : "counters json");
	close(client_unix("ask", SOCK_SEQPACKET));
	close(ask("counters"));
	daemon_signal(&server, SIGCONT);
	for (int i = 0; i < CLIENTS; i++)
		assert_answer(fds[i],
		    i % 2 == 0 ? "0\nopen 0\n" : "0\n{\"open\": 0");
	assert_answer(ask("nonsense"), "64\nunknown request");
	assert_answer(ask("a record that is longer than a request can be"),
	    "64\nunknown request");
	assert_answer(ask("reload"), "0\n");
	daemon_stop(&server);
}
END_TEST

/* They are closed after a while, and others get their answer. */
START_TEST(silent_clients_cost_nothing)
{
	struct daemon server;
	int fds[SILENT];

	start(&server, TCP);
	for (int i = 0; i < SILENT; i++)
		fds[i] = client_unix("ask", SOCK_SEQPACKET);
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	assert_says(ASK("-s"), 0, "open 1\n");
	client_talk(fd, "hello");
	for (int i = 0; i < SILENT; i++)
		assert_answer(fds[i], "");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* Runs another copy of the program as a user without privilege. */
static void
become_nobody(void)
{
	char copy[] = "./copy", command[512];

	snprintf(command, sizeof(command), "cp '%s' copy && chmod 755 . copy",
	    getenv("TIMESTAMPD"));
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(chmod("conf", 0644), 0);
	setenv("TIMESTAMPD", copy, 1);
	setenv("TIMESTAMPD_WRAPPER",
	    "setpriv --reuid 65534 --clear-groups --bounding-set -all "
	    "--inh-caps -all",
	    1);
}

START_TEST(other_users_are_refused)
{
	struct stat status;
	struct daemon server;

	if (geteuid() != 0 || !daemon_is_bare()) {
		puts("skipped: other_users_are_refused: no privilege");
		return;
	}
	start(&server, TCP);
	ck_assert_int_eq(stat("ask", &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0600);
	become_nobody();
	assert_says(ASK("-r"), EX_NOPERM, "/ask: Permission denied");
	ck_assert_int_eq(chmod("ask", 0666), 0);
	assert_says(ASK("-r"), EX_NOPERM, "only root and the user");
	daemon_stop(&server);
}
END_TEST

START_TEST(a_reload_moves_the_socket)
{
	struct daemon server;

	start(&server, TCP);
	daemon_reload(&server, with_control("moved", TCP), "reloaded");
	ck_assert_int_eq(access("ask", F_OK), -1);
	assert_says(ASK("-r"), 0, "");
	daemon_await(&server, "reloaded");
	daemon_reload(&server, "control = \"\";\n" TCP, "reloaded");
	ck_assert_int_eq(access("moved", F_OK), -1);
	daemon_reload(&server, with_control("missing/ask", TCP), "reloaded");
	ck_assert_int_eq(mkdir("missing", 0700), 0);
	daemon_reload(&server, with_control("missing/ask", TCP), "reloaded");
	assert_says(ASK("-r"), 0, "");
	daemon_stop(&server);
	ck_assert_int_eq(access("missing/ask", F_OK), -1);
}
END_TEST

START_TEST(a_socket_that_cannot_be_moved_stays)
{
	struct daemon server;

	start(&server, TCP);
	scratch_write("file", "");
	daemon_reload(&server, with_control("file", TCP),
	    "the control socket cannot move from");
	daemon_await(&server, "reloaded");
	scratch_write("conf", with_control("ask", TCP));
	assert_says(ASK("-r"), 0, "");
	daemon_stop(&server);
}
END_TEST

START_TEST(a_client_outlives_its_socket)
{
	struct daemon server;

	start(&server, TCP);
	daemon_pause(&server);
	int fd = ask("reload");
	scratch_write("conf", with_control("moved", TCP));
	daemon_signal(&server, SIGCONT);
	assert_answer(fd, "0\n");
	daemon_await(&server, "reloaded");
	int files = daemon_open_files(&server);
	fd = client_unix("moved", SOCK_SEQPACKET);
	while (daemon_open_files(&server) == files)
		sched_yield();
	daemon_reload(&server, with_control("ask", TCP), "reloaded");
	assert_says(ASK("-s"), 0, "open 0\n");
	assert_answer(fd, "");
	daemon_stop(&server);
}
END_TEST

/* It serves its clients all the same, and takes nothing from the other. */
START_TEST(a_path_that_is_taken)
{
	struct daemon first, second;

	start(&first, TCP);
	start(&second, TCP);
	ck_assert_ptr_nonnull(
	    strstr(second.log, "/ask: another process serves this socket"));
	int fd = client_tcp(daemon_port(&second, "tcp *"));
	client_talk(fd, "hello");
	close(fd);
	daemon_stop(&second);
	assert_says(ASK("-r"), 0, "");
	daemon_stop(&first);
	scratch_write("ask", "a file");
	start(&first, TCP);
	ck_assert_ptr_nonnull(strstr(first.log, "no control socket, so"));
	daemon_stop(&first);
	ck_assert_int_eq(access("ask", F_OK), 0);
}
END_TEST

START_TEST(a_server_that_stops_says_so)
{
	static char piece[1 << 16];
	struct daemon server;

	start(&server,
	    "limits: { drain_timeout = 3600; send_timeout = 3600; };\n" TCP);
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	while (send(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0)
		;
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopping");
	assert_says(ASK("-r"), EX_TEMPFAIL, "the server is stopping");
	assert_says(ASK("-s"), 0, "open 1\n");
	daemon_stop(&server);
	close(fd);
}
END_TEST

Suite *
control_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_reload_is_waited_for);
	tcase_add_test(tests, a_refused_reload_has_reasons);
	tcase_add_test(tests, where_no_server_is);
	tcase_add_test(tests, counters_are_shown);
	tcase_add_test(tests, requests_of_all_kinds);
	tcase_add_test(tests, silent_clients_cost_nothing);
	tcase_add_test(tests, other_users_are_refused);
	tcase_add_test(tests, a_reload_moves_the_socket);
	tcase_add_test(tests, a_socket_that_cannot_be_moved_stays);
	tcase_add_test(tests, a_client_outlives_its_socket);
	tcase_add_test(tests, a_path_that_is_taken);
	tcase_add_test(tests, a_server_that_stops_says_so);
	suite_add_tcase(suite, tests);
	return suite;
}
