/* A thread of the server that does not come back from a system call. */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/fuse.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define UDP "{ protocol = \"udp\"; port = 0; }"
#define UDP4 "{ protocol = \"udp\"; address = \"127.0.0.1\"; port = 0; }"
#define TCP "{ protocol = \"tcp\"; port = 0; }"
#define CONFIG(timeout, list)                                                  \
	"workers = 1; limits: { drain_timeout = " timeout "; };\n"             \
	"listeners = ( " list " );\n"

static struct daemon server;

/* The number of the server's thread of this name; 0: it has no name yet. */
static pid_t
find_thread(const char *name)
{
	char folder[64], path[384], found[32];
	struct dirent *entry;
	pid_t thread = 0;

	snprintf(folder, sizeof(folder), "/proc/%d/task", (int)server.pid);
	DIR *threads = opendir(folder);
	ck_assert_ptr_nonnull(threads);
	while ((entry = readdir(threads)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s/comm", folder,
		    entry->d_name);
		FILE *file = fopen(path, "r");
		if (file != NULL && fgets(found, sizeof(found), file) != NULL &&
		    strncmp(found, name, strlen(name)) == 0)
			thread = atoi(entry->d_name);
		if (file != NULL)
			fclose(file);
	}
	closedir(threads);
	return thread;
}

/* Stops a thread where it is, NULL: the main one; 0: this test cannot. */
static pid_t
hold(const char *name)
{
	int status;
	pid_t thread = 0;

	while (thread == 0)
		thread = name != NULL ? find_thread(name) : server.pid;
	if (daemon_is_wrapped() || ptrace(PTRACE_SEIZE, thread, 0, 0) == -1) {
		puts("skipped: this user may not trace here");
		daemon_stop(&server);
		return 0;
	}
	ck_assert_int_eq(ptrace(PTRACE_INTERRUPT, thread, 0, 0), 0);
	ck_assert_int_eq(waitpid(thread, &status, __WALL), thread);
	return thread;
}

/* Waits for the end of a server that leaves the held thread. */
static void
await_end_without(pid_t thread, const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), "thread %s does not end: left behind",
	    name);
	daemon_await(&server, line);
	/* The process ends when its tracer knows that the thread has. */
	ck_assert_int_eq(waitpid(thread, NULL, __WALL), thread);
	ck_assert_int_eq(daemon_wait(&server), 0);
	ck_assert_ptr_nonnull(strstr(server.log, "stopped"));
}

START_TEST(a_stop_ends)
{
	static const char *const names[] = { "udp-0", "worker-0" };
	const char *name = names[_i % 2];

	daemon_start_config(&server,
	    _i < 2 ? CONFIG("0", UDP ", " TCP) : CONFIG("1", UDP ", " TCP));
	int tcp = client_tcp(daemon_port(&server, "tcp *"));
	int udp = client_udp(daemon_port(&server, "udp *"));
	client_talk(tcp, "hello");
	client_talk(udp, "hello");
	daemon_await_counter(&server, "tcp_messages_out", 1);
	daemon_await_counter(&server, "udp_messages_out", 1);
	pid_t thread = hold(name);
	if (thread == 0)
		return;
	client_send(tcp, "later", 5);
	client_send(udp, "later", 5);
	daemon_signal(&server, SIGTERM);
	await_end_without(thread, name);
	/* What the held thread has counted is in the sum. */
	ck_assert_ptr_nonnull(strstr(server.log, "tcp_messages_out="));
	ck_assert_ptr_nonnull(strstr(server.log,
	    _i % 2 == 0 ? "udp_messages_out=1" : "udp_messages_out=2"));
	ck_assert_ptr_nonnull(
	    strstr(server.log, _i % 2 == 0 ? "open=0" : "open=1"));
	free(server.log);
	close(tcp);
	close(udp);
}
END_TEST

START_TEST(a_second_signal_ends_it)
{
	daemon_start_config(&server, CONFIG("3600", UDP));
	pid_t thread = hold("udp-0");
	if (thread == 0)
		return;
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopping");
	daemon_signal(&server, SIGTERM);
	await_end_without(thread, "udp-0");
	free(server.log);
}
END_TEST

START_TEST(a_reload_that_closes_its_listener_goes_on)
{
	daemon_start_config(&server, CONFIG("0", UDP ", " TCP));
	int tcp = client_tcp(daemon_port(&server, "tcp *"));
	pid_t thread = hold("udp-0");
	if (thread == 0)
		return;
	daemon_reload(&server, CONFIG("0", TCP), "reloaded");
	client_talk(tcp, "hello");
	daemon_reload(&server, CONFIG("0", TCP ", " UDP4), "reloaded");
	int udp = client_udp(daemon_port(&server, "udp 127.0.0.1"));
	client_talk(udp, "hello");
	daemon_signal(&server, SIGTERM);
	await_end_without(thread, "udp-0");
	free(server.log);
	close(tcp);
	close(udp);
}
END_TEST

START_TEST(a_thread_that_comes_back_is_joined)
{
	daemon_start_config(&server, CONFIG("3600", UDP));
	int udp = client_udp(daemon_port(&server, "udp *"));
	pid_t thread = hold("udp-0");
	if (thread == 0)
		return;
	client_send(udp, "hello", 5);
	daemon_reload(&server, CONFIG("3600", TCP), "reloaded");
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, 0, 0), 0);
	client_expect_datagram(udp, "hello", 5);
	daemon_await_counter(&server, "udp_messages_out", 1);
	close(udp);
	daemon_stop(&server);
}
END_TEST

/* The next process serves the connections, and takes the address. */
START_TEST(a_restart_hands_over)
{
	struct daemon next;

	manager_open(16);
	manager_start(&server, CONFIG("1", UDP ", " TCP));
	int tcp = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(tcp, "hello");
	pid_t thread = hold("udp-0");
	if (thread == 0)
		return;
	daemon_signal(&server, SIGUSR2);
	await_end_without(thread, "udp-0");
	ck_assert_ptr_nonnull(strstr(server.log, "handed_over=1"));
	free(server.log);
	manager_start(&next, CONFIG("3600", UDP ", " TCP));
	client_talk(tcp, "hello");
	close(tcp);
	daemon_stop(&next);
}
END_TEST

START_TEST(the_watchdog_is_not_answered)
{
	manager_open(0);
	setenv("WATCHDOG_USEC", "400000", 1);
	daemon_start_config(&server, CONFIG("0", UDP));
	pid_t thread = hold("udp-0");
	if (thread == 0)
		return;
	daemon_await(&server, "watchdog: a thread does not respond");
	daemon_signal(&server, SIGTERM);
	await_end_without(thread, "udp-0");
	free(server.log);
}
END_TEST

/* Asks until the answer contains text; asks not faster than others can work. */
static void
await_http(int port, const char *path, const char *text)
{
	while (strstr(client_http(port, path, ""), text) == NULL)
		poll(NULL, 0, 20);
}

/* Also without a service manager. */
START_TEST(it_is_not_live)
{
	static const char *const names[] = { "udp-0", "worker-0" };

	daemon_start_config(&server,
	    CONFIG("0", UDP ", " TCP) "http: { port = 0; };\n");
	int port = daemon_port(&server, "http 127.0.0.1");
	await_http(port, "GET /live", " 200 OK\r\n");
	pid_t thread = hold(names[_i]);
	if (thread == 0)
		return;
	await_http(port, "GET /live", " 503 Service Unavailable\r\n");
	await_http(port, "GET /live", "\r\n\r\na thread does not respond\n");
	/* A balancer that asks for nothing else sends its clients elsewhere. */
	await_http(port, "GET /ready", " 503 Service Unavailable\r\n");
	await_http(port, "GET /ready", "\r\n\r\na thread does not respond\n");
	await_http(port, "GET /metrics", "\ntimestampd_ready 0\n");
	await_http(port, "GET /metrics", "\ntimestampd_connections_open 0\n");
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, 0, 0), 0);
	await_http(port, "GET /live", " 200 OK\r\n");
	await_http(port, "GET /ready", " 200 OK\r\n");
	daemon_stop(&server);
}
END_TEST

/* The main thread: figures of before are shown while there are no others. */
START_TEST(a_main_thread_that_hangs_is_not_live)
{
	daemon_start_config(&server,
	    CONFIG("0", UDP ", " TCP) "http: { port = 0; };\n");
	int port = daemon_port(&server, "http 127.0.0.1");
	await_http(port, "GET /metrics", "\ntimestampd_workers 1\n");
	pid_t thread = hold(NULL);
	if (thread == 0)
		return;
	await_http(port, "GET /metrics", "\ntimestampd_workers 1\n");
	await_http(port, "GET /live",
	    "\r\n\r\nthe main thread does not respond\n");
	await_http(port, "GET /ready",
	    "\r\n\r\nthe main thread does not respond\n");
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, 0, 0), 0);
	await_http(port, "GET /live", " 200 OK\r\n");
	await_http(port, "GET /ready", " 200 OK\r\n");
	daemon_stop(&server);
}
END_TEST

#define HTTP "http: { port = 0; };\n"

START_TEST(a_stop_ends_without_http)
{
	daemon_start_config(&server,
	    _i == 0 ? CONFIG("0", TCP) HTTP : CONFIG("1", TCP) HTTP);
	pid_t thread = hold("MHD-single");
	if (thread == 0)
		return;
	daemon_signal(&server, SIGTERM);
	await_end_without(thread, "MHD-single");
	free(server.log);
}
END_TEST

/* Its address is free again, though a descriptor of it is open. */
START_TEST(a_reload_that_moves_http_goes_on)
{
	char config[512];

	daemon_start_config(&server, CONFIG("0", TCP) HTTP);
	int port = daemon_port(&server, "http 127.0.0.1");
	pid_t thread = hold("MHD-single");
	if (thread == 0)
		return;
	daemon_reload(&server,
	    CONFIG("0", TCP) "http: { address = \"127.0.0.2\"; port = 0; };\n",
	    "thread MHD-single does not end: left behind");
	daemon_await(&server, "reloaded");
	snprintf(config, sizeof(config),
	    CONFIG("0", TCP) "http: { port = %d; };\n", port);
	daemon_reload(&server, config, "reloaded");
	await_http(port, "GET /ready", " 200 OK\r\n");
	/* The log has named it: the end needs no further line. */
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopped");
	ck_assert_int_eq(waitpid(thread, NULL, __WALL), thread);
	ck_assert_int_eq(daemon_wait(&server), 0);
	free(server.log);
}
END_TEST

START_TEST(http_that_comes_back_is_joined)
{
	daemon_start_config(&server, CONFIG("0", TCP) HTTP);
	pid_t thread = hold("MHD-single");
	if (thread == 0)
		return;
	daemon_reload(&server, CONFIG("0", TCP), "does not end");
	daemon_await(&server, "reloaded");
	ck_assert_int_eq(ptrace(PTRACE_DETACH, thread, 0, 0), 0);
	while (find_thread("MHD-single") != 0)
		poll(NULL, 0, 20);
	daemon_stop(&server);
}
END_TEST

static int
bound_at(const char *folder, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder,
	    name);
	ck_assert_msg(bind(fd, (struct sockaddr *)&address, sizeof(address)) ==
			  0,
	    "%m");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dgram",
	    folder);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	return fd;
}

/* Whether the kernel asks again for the folder, the name, the socket. */
static const struct fuse_times silences[] = {
	{ false, false, false, true },
	{ true, false, false, true },
	{ true, true, false, true },
	{ true, true, false, false },
	{ true, true, true, true },
};

/* The path of a client is on a file system that has fallen silent. */
START_TEST(a_silent_file_system_costs_its_clients_only)
{
	char config[256], folder[64];
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	ck_assert_int_eq(mkdir("silent", 0777), 0);
	if (!fuse_mount("silent", &silences[_i])) {
		puts("skipped: no FUSE here");
		return;
	}
	snprintf(config, sizeof(config),
	    CONFIG("3600", "{ protocol = \"unix-dgram\"; path = "
			   "\"%s/dgram\"; }"),
	    folder);
	daemon_start_config(&server, config);
	int stuck = bound_at(folder, "silent/client");
	int fd = bound_at(folder, "client");
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	/* Making the socket has invalidated its folder. */
	ck_assert_int_eq(stat("silent", &status), 0);
	fuse_silence();
	client_send(stuck, "hello", 5);
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	daemon_signal(&server, SIGTERM);
	ck_assert_int_eq(daemon_wait(&server), 0);
	ck_assert_ptr_null(strstr(server.log, "drain_timeout"));
	free(server.log);
	close(fd);
	close(stuck);
	fuse_unmount("silent");
}
END_TEST

Suite *
hang_suite(void)
{
	Suite *suite = suite_create("hang");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, a_stop_ends, 0, 4);
	tcase_add_test(tests, a_second_signal_ends_it);
	tcase_add_test(tests, a_reload_that_closes_its_listener_goes_on);
	tcase_add_test(tests, a_thread_that_comes_back_is_joined);
	tcase_add_test(tests, a_restart_hands_over);
	tcase_add_test(tests, the_watchdog_is_not_answered);
	tcase_add_loop_test(tests, it_is_not_live, 0, 2);
	tcase_add_test(tests, a_main_thread_that_hangs_is_not_live);
	tcase_add_loop_test(tests, a_stop_ends_without_http, 0, 2);
	tcase_add_test(tests, a_reload_that_moves_http_goes_on);
	tcase_add_test(tests, http_that_comes_back_is_joined);
	tcase_add_loop_test(tests, a_silent_file_system_costs_its_clients_only,
	    0, 5);
	suite_add_tcase(suite, tests);
	return suite;
}
