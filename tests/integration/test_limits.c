#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define MANY 15000
#define STALLED 16
#define TCP "listeners = ( { protocol = \"tcp\"; port = 0; } );\n"

static struct daemon server;

static void
raise_file_limit(rlim_t wanted)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	ck_assert_msg(setrlimit(RLIMIT_NOFILE, &limit) == 0,
	    "%llu file descriptors: %s", (unsigned long long)wanted,
	    strerror(errno));
}

START_TEST(many_idle_connections_cost_little)
{
	static int fds[MANY];

	if (!daemon_is_bare())
		return;
	raise_file_limit(MANY + 1000);
	daemon_start_config(&server,
	    "limits: { max_connections = 16000; };\n" TCP);
	int port = daemon_port(&server, "tcp *");
	int first = client_tcp(port);
	client_talk(first, "warm");
	long before = daemon_private_memory(&server);
	for (int i = 0; i < MANY; i++)
		fds[i] = client_tcp(port);
	daemon_await_counter(&server, "open", MANY + 1);
	long memory = daemon_private_memory(&server) - before;
	ck_assert_msg(memory < 2 << 10, "%ld KiB", memory);

	/* All of them are served; then hardly a thread uses CPU time.  Every
	 * ten seconds each is measured, all together for a tick or two. */
	for (int i = 0; i < MANY; i += 100)
		client_talk(fds[i], "hello");
	long ticks = daemon_cpu_ticks(&server);
	struct pollfd silence = { .fd = first, .events = POLLIN };
	ck_assert_int_eq(poll(&silence, 1, 3000), 0);
	ck_assert_int_le(daemon_cpu_ticks(&server) - ticks, 3);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	close(first);
	daemon_await_counter(&server, "open", 0);
	daemon_stop(&server);
}
END_TEST

/* Starts a server that has room for 10 clients; 30 come and say hello. */
static void
start_crowded(int fds[30])
{
	daemon_start_config(&server,
	    "limits: { max_connections = 10; };\n" TCP);
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < 30; i++) {
		fds[i] = client_tcp(port);
		client_send(fds[i], "hello", 5);
	}
}

START_TEST(clients_over_the_limit_wait)
{
	int fds[30];

	start_crowded(fds);
	for (int i = 0; i < 30; i++) {
		client_expect(fds[i], "hello", 5);
		ck_assert_uint_le(daemon_counter(&server, "open"), 10);
		close(fds[i]);
	}
	daemon_await_counter(&server, "open", 0);
	ck_assert_uint_gt(daemon_counter(&server, "accept_pauses"), 0);
	ck_assert_ptr_nonnull(strstr(server.log, "max_connections (10)"));
	daemon_stop(&server);
}
END_TEST

/* All can connect: in this network namespace so long a backlog is allowed. */
START_TEST(nine_thousand_wait_behind_ten_thousand)
{
	enum { ALL = 19000, PLACES = 10000 };
	static int fds[ALL];
	struct rlimit limit = { 20000, 20000 };
	char byte;

	if (!daemon_is_bare())
		return;
	if (unshare(CLONE_NEWNET) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &limit) == -1) {
		ck_assert_int_eq(errno, EPERM);
		puts("skipped: this user may not create a network namespace");
		return;
	}
	ck_assert_int_eq(system("ip link set lo up && "
				"echo 65535 >/proc/sys/net/core/somaxconn"),
	    0);
	daemon_start_config(&server,
	    "limits: { max_connections = 10000; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; "
	    "backlog = 10000; } );\n");
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < ALL; i++) {
		fds[i] = client_tcp(port);
		client_send(fds[i], "hello", 5);
	}
	for (int i = 0; i < PLACES; i++)
		client_expect(fds[i], "hello", 5);
	ck_assert_uint_eq(daemon_counter(&server, "open"), PLACES);
	for (int i = PLACES; i < ALL; i++)
		ck_assert_int_eq(recv(fds[i], &byte, 1, MSG_DONTWAIT), -1);
	for (int i = 0; i < ALL - PLACES; i++)
		close(fds[i]);
	for (int i = PLACES; i < ALL; i++)
		client_expect(fds[i], "hello", 5);
	for (int i = ALL - PLACES; i < ALL; i++)
		close(fds[i]);
	daemon_await_counter(&server, "open", 0);
	ck_assert_int_le(daemon_log_lines(&server), 5);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_stop_accepts_the_clients_in_the_backlog)
{
	int fds[30];

	start_crowded(fds);
	for (int i = 0; i < 30; i++)
		shutdown(fds[i], SHUT_WR);
	daemon_signal(&server, SIGTERM);
	client_expect_drained(fds, 30, "hello");
	daemon_finish(&server);
}
END_TEST

START_TEST(max_connections_is_held_against_the_file_limit)
{
	struct rlimit limit = { 256, 256 };

	if (!daemon_is_bare())
		return;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	daemon_start_config(&server,
	    "limits: { max_connections = 16000; };\n" TCP);
	ck_assert_ptr_nonnull(
	    strstr(server.log, "max_connections = 16000 needs 16"));
	ck_assert_ptr_nonnull(strstr(server.log,
	    "file descriptors, but the limit is 256: clamped to "));
	daemon_stop(&server);
}
END_TEST

/* The limit of the running server is lowered, so descriptors run out. */
START_TEST(accepting_goes_on_when_file_descriptors_come_back)
{
	struct rlimit none = { 3, 20000 }, enough = { 1000, 20000 };

	if (!daemon_is_bare())
		return;
	daemon_start_config(&server, TCP);
	int port = daemon_port(&server, "tcp *");
	int early = client_tcp(port);
	client_talk(early, "early");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &none, &enough), 0);
	int fd = client_tcp(port);
	client_send(fd, "hello", 5);
	daemon_await(&server, "accept: Too many open files");
	while (daemon_counter(&server, "accept_pauses") < 3)
		;
	client_talk(early, "served meanwhile");
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &enough, NULL), 0);
	client_expect(fd, "hello", 5);
	ck_assert_ptr_null(strstr(server.log + server.log_seen,
	    "accept: Too many open files"));
	close(fd);
	close(early);
	daemon_stop(&server);
}
END_TEST

/* The clients send nothing, so only the time-out of the first wakes the server. */
START_TEST(silent_clients_are_closed_each_at_its_time)
{
	daemon_start_config(&server,
	    "workers = 1; limits: { idle_timeout = 3; };\n" TCP);
	int port = daemon_port(&server, "tcp *");
	int first = client_tcp(port);
	struct pollfd end = { .fd = first, .events = POLLIN };

	/* The second client's time begins this much later. */
	ck_assert_int_eq(poll(&end, 1, 1500), 0);
	int second = client_tcp(port);
	client_expect_end(first);
	end.fd = second;
	ck_assert_int_eq(poll(&end, 1, 0), 0);
	client_expect_end(second);
	close(first);
	close(second);
	daemon_stop(&server);
}
END_TEST

/* Time-outs pass while the process is stopped; the client must not pay for it. */
START_TEST(what_came_while_the_process_was_stopped_is_answered)
{
	daemon_start_config(&server, "limits: { idle_timeout = 1; };\n" TCP);
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	struct pollfd reply = { .fd = fd, .events = POLLIN };

	client_talk(fd, "before");
	daemon_pause(&server);
	client_send(fd, "meanwhile", 9);
	/* The process is stopped for longer than idle_timeout. */
	ck_assert_int_eq(poll(&reply, 1, 1500), 0);
	daemon_signal(&server, SIGCONT);
	client_expect(fd, "meanwhile", 9);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/*
 * Sends without reading until the server receives no more.  Not one piece for
 * each POLLOUT: a Unix socket reports that only while it is nearly empty.
 */
static void
fill(int fd)
{
	static char piece[8192];
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	do
		while (send(fd, piece, sizeof(piece),
			   MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
			;
	while (errno == EAGAIN && poll(&room, 1, 1500) == 1);
}

/* A client that does not read is subject to send_timeout instead. */
START_TEST(a_long_send_timeout_does_not_delay_the_idle_one)
{
	daemon_start_config(&server, "workers = 1; limits: { idle_timeout = 1; "
				     "send_timeout = 3600; };\n" TCP);
	int port = daemon_port(&server, "tcp *");
	int deaf = client_tcp(port);

	fill(deaf);
	int silent = client_tcp(port);
	client_expect_end(silent);
	close(silent);
	close(deaf);
	daemon_stop(&server);
}
END_TEST

/*
 * Connects to one of the pair of listeners number kind, with a small receive
 * buffer.
 */
static int
connect_tight(int kind, bool second)
{
	static const char *const paths[][2] = { { "a", "b" }, { "c", "d" } };
	const char *ip = second ? "127.0.0.2" : "127.0.0.1";
	char name[32];

	if (kind > 0)
		return client_unix(paths[kind - 1][second],
		    kind == 1 ? SOCK_STREAM : SOCK_SEQPACKET);
	snprintf(name, sizeof(name), "tcp %s", ip);
	return client_tcp_tight(ip, daemon_port(&server, name));
}

static const char *
config_of_pairs(int send_timeout)
{
	static char config[1024];
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "workers = 1; log_level = \"debug\";\n"
	    "limits: { send_timeout = %d; };\n"
	    "listeners = (\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = 0; },\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.2\"; port = 0; },\n"
	    "{ protocol = \"unix\"; path = \"%s/a\"; },\n"
	    "{ protocol = \"unix\"; path = \"%s/b\"; },\n"
	    "{ protocol = \"unix-seqpacket\"; path = \"%s/c\"; },\n"
	    "{ protocol = \"unix-seqpacket\"; path = \"%s/d\"; } );\n",
	    send_timeout, folder, folder, folder, folder);
	return config;
}

#define DEAF ": closed, the client does not read"

/* Asserts that the line last awaited is about the listener name. */
static void
assert_awaited_of(const char *name)
{
	const char *end = server.log + server.log_seen;
	const char *line = memrchr(server.log, '\n', server.log_seen);

	ck_assert_msg(memmem(line, (size_t)(end - line), name, strlen(name)) !=
			  NULL,
	    "not of '%s':%s", name, line);
}

/*
 * Each read restarts a client's time, however little it reads: so the slow
 * reader is closed after a client that connected later and read nothing.
 */
START_TEST(a_slow_reader_is_not_mistaken_for_a_deaf_one)
{
	static const char *const names[][2] = {
		{ " 127.0.0.1:", " 127.0.0.2:" },
		{ "/a from", "/b from" },
		{ "/c from", "/d from" },
	};
	/* The kernel makes room for a reply only after this many bytes. */
	static const size_t enough[] = { 2048, 65536, 1 };
	static char read[65536];

	daemon_start_config(&server, config_of_pairs(3600));
	int slow = connect_tight(_i, false), deaf = connect_tight(_i, true);
	fill(slow);
	client_read(slow, read, enough[_i]);
	fill(deaf);
	daemon_reload(&server, config_of_pairs(1), DEAF);
	assert_awaited_of(names[_i][1]);
	daemon_await(&server, DEAF);
	assert_awaited_of(names[_i][0]);
	close(slow);
	close(deaf);
	daemon_stop(&server);
}
END_TEST

#define BUSY 600

/* Sends and reads on all of fds until it is killed. */
static pid_t
keep_busy(const int *fds)
{
	static char piece[4096];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		for (int i = 0; i < BUSY; i++) {
			send(fds[i], piece, 64, MSG_DONTWAIT);
			recv(fds[i], piece, sizeof(piece), MSG_DONTWAIT);
		}
}

/* More clients than epoll reports at once, and all of them send. */
START_TEST(busy_clients_do_not_keep_an_idle_one_open)
{
	static int fds[BUSY];

	daemon_start_config(&server,
	    "workers = 1; limits: { idle_timeout = 2; };\n" TCP);
	int port = daemon_port(&server, "tcp *");
	for (int i = 0; i < BUSY; i++)
		fds[i] = client_tcp(port);
	pid_t pid = keep_busy(fds);
	int silent = client_tcp(port);
	client_expect_end(silent);
	daemon_await_counter(&server, "closed_idle", 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(silent);
	for (int i = 0; i < BUSY; i++)
		close(fds[i]);
	daemon_stop(&server);
}
END_TEST

/* A client that sends and never reads; replies to empty lines are longest. */
static int
connect_deaf(int port)
{
	static char newlines[32 << 10];
	int fd = client_tcp(port), least = 1;

	memset(newlines, '\n', sizeof(newlines));
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least,
			     sizeof(least)),
	    0);
	for (int i = 0; i < 8; i++)
		send(fd, newlines, sizeof(newlines), MSG_DONTWAIT);
	return fd;
}

#define BUDGET(mib)                                                            \
	"workers = 2; limits: { send_timeout = 0; kept_memory = " mib " };\n"  \
	"listeners = ( { protocol = \"tcp\"; port = 0; "                       \
	"framing = \"line\"; } );\n"

START_TEST(deaf_clients_have_a_budget)
{
	int fds[STALLED];

	daemon_start_config(&server, BUDGET("0"));
	int port = daemon_port(&server, "tcp *"), reader = client_tcp(port);
	for (int i = 0; i < STALLED; i++)
		fds[i] = connect_deaf(port);
	client_talk(reader, "hello\n");
	ck_assert_uint_eq(daemon_counter(&server, "closed_memory"), 0);
	daemon_reload(&server, BUDGET("1"), "reloaded");
	while (daemon_counter(&server, "closed_memory") < STALLED / 2)
		;
	client_talk(reader, "again\n");
	for (int i = 0; i < STALLED; i++)
		close(fds[i]);
	close(reader);
	daemon_stop(&server);
}
END_TEST

START_TEST(no_cpu_time_when_no_client_talks)
{
	const char *const arguments[] = { "-l", "tcp:0", "-l", "udp:0", NULL };

	if (!daemon_is_bare())
		return;
	daemon_start(&server, arguments);
	int quiet = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(quiet, "hello");
	long ticks = daemon_cpu_ticks(&server);
	client_expect_silence(quiet, 2000);
	ck_assert_int_le(daemon_cpu_ticks(&server) - ticks, 3);
	close(quiet);
	daemon_stop(&server);
}
END_TEST

Suite *
limits_suite(void)
{
	Suite *suite = suite_create("limits");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, many_idle_connections_cost_little);
	tcase_add_test(tests, clients_over_the_limit_wait);
	tcase_add_test(tests, nine_thousand_wait_behind_ten_thousand);
	tcase_add_test(tests, a_stop_accepts_the_clients_in_the_backlog);
	tcase_add_test(tests, max_connections_is_held_against_the_file_limit);
	tcase_add_test(tests,
	    accepting_goes_on_when_file_descriptors_come_back);
	tcase_add_test(tests, silent_clients_are_closed_each_at_its_time);
	tcase_add_test(tests,
	    what_came_while_the_process_was_stopped_is_answered);
	tcase_add_test(tests, a_long_send_timeout_does_not_delay_the_idle_one);
	tcase_add_loop_test(tests, a_slow_reader_is_not_mistaken_for_a_deaf_one,
	    0, 3);
	tcase_add_test(tests, busy_clients_do_not_keep_an_idle_one_open);
	tcase_add_test(tests, deaf_clients_have_a_budget);
	tcase_add_test(tests, no_cpu_time_when_no_client_talks);
	suite_add_tcase(suite, tests);
	return suite;
}
