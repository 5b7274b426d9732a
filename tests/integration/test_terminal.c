#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

/* The log of a server that someone started in a terminal. */

#define TCP                                                                    \
	"workers = 2; control = \"\";\n"                                       \
	"listeners = ( { protocol = \"tcp\"; port = 0; } );\n"
#define LOGGED TCP "log_connections = true;\n"
/* A stop that waits does so until it is told not to. */
#define PATIENT                                                                \
	"workers = 2; limits: { drain_timeout = 3600; send_timeout = 3600; };" \
	"listeners = ( { protocol = \"tcp\"; port = 0; framing = \"line\"; } " \
	");\n"

/* The replies fill any send buffer; these fit into the buffers themselves. */
#define NEWLINES 400000

#define CTRL_C "\003"
#define TIME "[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}"
/* "from 127.0.0.1:40133 on tcp 127.0.0.1:21567" */
#define PEER "from 127\\.0\\.0\\.1:[0-9]+"
#define OURS " on tcp 127\\.0\\.0\\.1:[0-9]+"

static struct daemon server;

/* A terminal that has no colours and shows what lang says. */
static void
start(const char *config, const char *lang)
{
	setenv("TERM", "xterm", 1);
	setenv("NO_COLOR", "1", 1);
	setenv("LC_ALL", lang, 1);
	daemon_use_terminal();
	daemon_start_config(&server, config);
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	ck_assert_int_eq(regcomp(&regex, pattern,
			     REG_EXTENDED | REG_NOSUB | REG_NEWLINE),
	    0);
	ck_assert_msg(regexec(&regex, text, 0, NULL, 0) == 0, "no %s in:\n%s",
	    pattern, text);
	regfree(&regex);
}

/* Each line of the log begins in the same form. */
static void
assert_lines_match(const char *pattern)
{
	char *copy = strdup(server.log);

	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
		assert_matches(line, pattern);
	free(copy);
}

static void
serve_two(int port)
{
	int first = client_tcp(port), second;

	daemon_await(&server, "#1 ");
	client_talk(first, "hello\n");
	second = client_tcp(port);
	daemon_await(&server, "#2 ");
	client_talk(second, "a");
	client_talk(second, "\x1b[2J");
	close(second);
	daemon_await(&server, "#2 ");
	close(first);
	daemon_await(&server, "#1 ");
	daemon_await(&server, "\n");
}

START_TEST(lines_are_short_and_in_columns)
{
	start(LOGGED, "C.UTF-8");
	serve_two(daemon_port(&server, "tcp *"));
	assert_lines_match("^" TIME " (info   |warning) [^ ]");
	assert_matches(server.log, " info    ready: 2 workers, at most ");
	assert_matches(server.log, " info    #1    open           " PEER OURS);
	assert_matches(server.log,
	    " info    #1    6 \u2192 33 B       closed, the client closed: 1 "
	    "message, [0-9]+\\.[0-9]{3} s, " PEER "$");
	assert_matches(server.log,
	    " info    #2    5 \u2192 59 B       closed, the client closed: 2 "
	    "messages, [0-9]+\\.[0-9]{3} s, " PEER "$");
	ck_assert_ptr_null(strchr(server.log, '\x1b'));
	daemon_type(&server, CTRL_C);
	daemon_finish_saying(&server, " stopped\n");
}
END_TEST

START_TEST(a_terminal_without_utf8_gets_ascii)
{
	start(LOGGED, "C");
	serve_two(daemon_port(&server, "tcp *"));
	assert_matches(server.log, " #1    6 -> 33 B      closed, ");
	for (const char *at = server.log; *at != '\0'; at++)
		ck_assert(*at == '\n' || (*at >= ' ' && *at <= '~'));
	daemon_stop(&server);
}
END_TEST

/* TERM, NO_COLOR, and whether there are colours. */
static const struct {
	const char *type, *none;
	bool colours;
} looks[] = {
	{ "xterm-256color", NULL, true },
	{ "xterm", "", true },
	{ "xterm", "1", false },
	{ "dumb", NULL, false },
	{ NULL, NULL, false },
};

static void
set(const char *name, const char *value)
{
	if (value != NULL)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

START_TEST(colours_only_where_they_are_welcome)
{
	set("TERM", looks[_i].type);
	set("NO_COLOR", looks[_i].none);
	daemon_use_terminal();
	daemon_start_config(&server, TCP);
	daemon_await(&server, "\n");
	if (looks[_i].colours)
		assert_lines_match("^\x1b\\[2m" TIME "\x1b\\[0m "
				   "(\x1b\\[32minfo   |\x1b\\[33mwarning)"
				   "\x1b\\[0m [^ ]");
	else
		ck_assert_ptr_null(strchr(server.log, '\x1b'));
	daemon_stop(&server);
}
END_TEST

START_TEST(counters_come_without_zeros)
{
	start(TCP, "C");
	daemon_signal(&server, SIGUSR1);
	daemon_await(&server, " info    counters: all are 0\n");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello\n");
	daemon_signal(&server, SIGUSR1);
	daemon_await(&server,
	    " counters: open=1 accepted=1 tcp_messages_in=1 tcp_bytes_in=6 "
	    "tcp_messages_out=1 tcp_bytes_out=33\n");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* A client that reads nothing, so a stop waits for it. */
static int
connect_deaf(int port)
{
	static char newlines[NEWLINES];
	int fd = client_tcp_tight("127.0.0.1", port);

	memset(newlines, '\n', sizeof(newlines));
	client_send(fd, newlines, sizeof(newlines));
	return fd;
}

/* "from 127.0.0.1:40133" of a client. */
static const char *
name_of(int fd, char text[64])
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof(address);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(text, 64, "from %s:%d", inet_ntoa(address.sin_addr),
	    ntohs(address.sin_port));
	return text;
}

/* So that what comes next is younger by a millisecond at least. */
static void
pass_a_millisecond(void)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec -
		   begin.tv_nsec <=
	       1000000);
}

START_TEST(a_stop_says_for_whom_it_waits)
{
	char text[256], name[64];
	int fds[3];

	start(_i == 0 ? PATIENT : PATIENT "log_connections = true;\n", "C");
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < 3; i++) {
		fds[i] = connect_deaf(port);
		/* Its worker has given it its number. */
		if (_i == 1)
			daemon_await(&server, " open ");
		daemon_await_counter(&server, "accepted",
		    (unsigned long long)i + 1);
		pass_a_millisecond();
	}
	daemon_type(&server, CTRL_C);
	daemon_await(&server, " info    stopping\n");
	snprintf(text, sizeof(text),
	    " info    waiting for 3 connections, the oldest %s%s, open for ",
	    _i == 0 ? "" : "#1 ", name_of(fds[0], name));
	daemon_await(&server, text);
	daemon_await(&server, " s; at most 3");
	daemon_await(&server,
	    " s more (drain_timeout); Ctrl-C again closes at once\n");
	daemon_type(&server, CTRL_C);
	daemon_finish_saying(&server, " closed_stop=3 ");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}
END_TEST

START_TEST(a_stop_that_waits_for_one_names_it)
{
	char text[128], name[64];

	start(PATIENT, "C");
	int port = daemon_port(&server, "tcp *"), fd = connect_deaf(port);
	daemon_await_counter(&server, "accepted", 1);
	daemon_type(&server, CTRL_C);
	snprintf(text, sizeof(text), " waiting for 1 connection %s, open for ",
	    name_of(fd, name));
	daemon_await(&server, text);
	close(fd);
	daemon_finish(&server);
}
END_TEST

START_TEST(a_stop_that_does_not_wait_says_nothing)
{
	start(PATIENT, "C");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello\n");
	daemon_type(&server, CTRL_C);
	client_expect_end(fd);
	close(fd);
	int status = daemon_wait(&server);
	ck_assert_int_eq(status, 0);
	ck_assert_ptr_null(strstr(server.log, "waiting"));
	ck_assert_ptr_nonnull(strstr(server.log, " stopped\n"));
	free(server.log);
}
END_TEST

START_TEST(ctrl_c_ends_each_step)
{
	start("limits: { lame_duck = 3600; drain_timeout = 3600; "
	      "send_timeout = 3600; };\n"
	      "listeners = ( { protocol = \"tcp\"; port = 0; framing = "
	      "\"line\"; } );\n",
	    "C");
	int fd = connect_deaf(daemon_port(&server, "tcp *"));
	daemon_await_counter(&server, "accepted", 1);
	daemon_type(&server, CTRL_C);
	daemon_await(&server,
	    "stopping in 3600 s (lame_duck); Ctrl-C again stops now\n");
	daemon_type(&server, CTRL_C);
	daemon_await(&server, " stopping\n");
	daemon_await(&server, "Ctrl-C again closes at once\n");
	daemon_type(&server, CTRL_C);
	daemon_finish_saying(&server, " stopped\n");
	close(fd);
}
END_TEST

/* Sends a datagram from a socket of this name, which may be abstract. */
static void
send_from(const char *name, size_t len)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX },
			   to = { .sun_family = AF_UNIX, .sun_path = "s" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(own.sun_path, name, len);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&own,
			     (socklen_t)(offsetof(struct sockaddr_un,
					     sun_path) +
					 len)),
	    0);
	ck_assert_int_eq(sendto(fd, "\x1b[2J", 4, 0, (struct sockaddr *)&to,
			     sizeof(to)),
	    4);
	close(fd);
}

/* A client's name and bytes, and a name in the configuration. */
START_TEST(nothing_commands_the_terminal)
{
	char config[512], *folder = get_current_dir_name();

	snprintf(config, sizeof(config),
	    "log_level = \"debug\"; control = \"%s/"
	    "\u00db"
	    "31m\xc2\x85\";\n"
	    "listeners = ( { protocol = \"unix-dgram\"; path = \"%s/s\"; } );",
	    folder, folder);
	free(folder);
	start(config, _i == 0 ? "C" : "C.UTF-8");
	ck_assert_ptr_nonnull(strstr(server.log,
	    _i == 0 ? "/\\xc3\\x9b31m\\xc2\\x85" : "/\u00db31m\\xc2\\x85"));
	send_from("\x1b]0;title\a\n\x9b", 12);
	daemon_await(&server, " debug   unix-dgram datagram from "
			      "\\x1b]0;title\\x07\\x0a\\x9b, 4 bytes: ");
	send_from("\0\x1b[2J\xc3\x9b", 7);
	daemon_await(&server, " from @\\x1b[2J\\xc3\\x9b, 4 bytes: ");
	daemon_stop(&server);
}
END_TEST

#define NOBODY "setpriv --reuid=nobody --regid=nogroup --clear-groups"
#define PIPE_SIZE 4096
#define MANY 500 /* whose lines fit nowhere */
#define LOST "^" TIME " warning [0-9]+ lines? of this log could not be written$"
#define LOST_PIPED " warning: [0-9]+ lines? of this log could not be written$"

/* Why nobody reads the log, and whether it is of another user. */
static const struct {
	bool is_terminal, is_stopped, is_foreign;
} silences[] = {
	{ true, true, false },
	{ true, false, false },
	{ false, false, false },
	{ true, true, true },
	{ true, false, true },
	{ false, false, true },
};
#define SILENCES (sizeof(silences) / sizeof(silences[0]))

/* The next server runs as nobody; the scratch folder is for all users. */
static bool
become_nobody(void)
{
	char command[512], *folder = get_current_dir_name();

	if (geteuid() != 0 || daemon_is_wrapped()) {
		puts("skipped: only root can become another user");
		return false;
	}
	ck_assert_int_eq(chmod(".", 0755), 0);
	snprintf(command, sizeof(command), "cp '%s' program",
	    getenv("TIMESTAMPD"));
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command), "%s/program", folder);
	free(folder);
	setenv("TIMESTAMPD", command, 1);
	setenv("TIMESTAMPD_WRAPPER", NOBODY, 1);
	return true;
}

/* Its lines about connections are not read from now on. */
static int
start_unread(int n)
{
	const char *config = "log_level = \"debug\";\n" TCP;

	if (silences[n].is_terminal) {
		start(config, "C");
	} else {
		daemon_start_config(&server, config);
		ck_assert_int_eq(fcntl(server.log_fd, F_SETPIPE_SZ, PIPE_SIZE),
		    PIPE_SIZE);
	}
	return daemon_port(&server, "tcp *");
}

/* As Ctrl-S and Ctrl-Q do. */
static void
control_flow(int n, int action)
{
	if (!silences[n].is_stopped)
		return;
	int fd = open(ptsname(server.log_fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(tcflow(fd, action), 0);
	close(fd);
}

static void
serve_many(int port)
{
	for (int i = 0; i < MANY; i++) {
		int fd = client_tcp(port);
		client_talk(fd, "hello\n");
		close(fd);
	}
}

START_TEST(a_log_that_nobody_reads_loses_lines_only)
{
	if (silences[_i].is_foreign && !become_nobody())
		return;
	int port = start_unread(_i);
	control_flow(_i, TCOOFF);
	serve_many(port);
	control_flow(_i, TCOON);
	while (strstr(server.log, " could not be written\n") == NULL) {
		daemon_signal(&server, SIGUSR1);
		daemon_catch_up(&server);
	}
	assert_matches(server.log,
	    silences[_i].is_terminal ? LOST : LOST_PIPED);
	daemon_signal(&server, SIGTERM);
	daemon_finish_saying(&server, " stopped\n");
}
END_TEST

START_TEST(a_stop_needs_nobody_who_reads)
{
	siginfo_t end;

	if (silences[_i].is_foreign && !become_nobody())
		return;
	int port = start_unread(_i);
	control_flow(_i, TCOOFF);
	serve_many(port);
	daemon_signal(&server, SIGTERM);
	ck_assert_int_eq(waitid(P_PID, (id_t)server.pid, &end,
			     WEXITED | WNOWAIT),
	    0);
	ck_assert_int_eq(end.si_code, CLD_EXITED);
	daemon_finish(&server);
}
END_TEST

Suite *
terminal_suite(void)
{
	Suite *suite = suite_create("terminal");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, lines_are_short_and_in_columns);
	tcase_add_test(tests, a_terminal_without_utf8_gets_ascii);
	tcase_add_loop_test(tests, colours_only_where_they_are_welcome, 0,
	    sizeof(looks) / sizeof(looks[0]));
	tcase_add_test(tests, counters_come_without_zeros);
	tcase_add_loop_test(tests, a_stop_says_for_whom_it_waits, 0, 2);
	tcase_add_test(tests, a_stop_that_waits_for_one_names_it);
	tcase_add_test(tests, a_stop_that_does_not_wait_says_nothing);
	tcase_add_test(tests, ctrl_c_ends_each_step);
	tcase_add_loop_test(tests, nothing_commands_the_terminal, 0, 2);
	tcase_add_loop_test(tests, a_log_that_nobody_reads_loses_lines_only, 0,
	    SILENCES);
	tcase_add_loop_test(tests, a_stop_needs_nobody_who_reads, 0, SILENCES);
	suite_add_tcase(suite, tests);
	return suite;
}
