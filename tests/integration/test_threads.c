#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/inet.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define THREADS_MAX 16
#define CLIENTS 60 /* so many that each of three threads gets some */
#define UDP(threads)                                                           \
	"{ protocol = \"udp\"; address = \"127.0.0.1\"; port = 0;"             \
	" max_datagram = 8000; threads = " threads "; }"
#define LISTENERS(list) "listeners = ( " list " );"

static struct daemon server;
static int port, clients[CLIENTS];
static char message[1500];
static size_t message_len = 5;

static void
start(const char *config)
{
	daemon_start_config(&server, config);
	port = daemon_port(&server, "udp 127.0.0.1");
}

/*
 * Returns how often the thread task has waited; -1 if it is not a datagram
 * thread.
 */
static long
count_waits(const char *task)
{
	static const char waits[] = "voluntary_ctxt_switches:";
	char path[300], line[128];
	long count = -1;
	bool is_udp = false;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", server.pid,
	    task);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return -1;
	while (fgets(line, sizeof(line), file) != NULL) {
		is_udp |= strncmp(line, "Name:\tudp-", 10) == 0;
		if (strncmp(line, waits, strlen(waits)) == 0)
			count = atol(line + strlen(waits));
	}
	fclose(file);
	return is_udp ? count : -1;
}

/* Returns the number of datagram threads, and count_waits of each. */
static int
list_threads(long waits[THREADS_MAX])
{
	char path[64];
	int count = 0;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", server.pid);
	DIR *folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder)) != NULL) {
		long waited = count_waits(entry->d_name);
		if (waited != -1 && count < THREADS_MAX)
			waits[count++] = waited;
	}
	closedir(folder);
	return count;
}

/* A thread sets its name after it has started. */
static void
await_threads(int count)
{
	long waits[THREADS_MAX];

	while (list_threads(waits) != count)
		;
}

static void
open_clients(void)
{
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_udp(port);
}

static void
close_clients(void)
{
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i]);
}

static void
send_all(void)
{
	for (int i = 0; i < CLIENTS; i++)
		client_send(clients[i], message, message_len);
}

static void
expect_all(void)
{
	for (int i = 0; i < CLIENTS; i++)
		client_expect_datagram(clients[i], message, message_len);
}

/* Sends until each of the threads has answered a datagram. */
static void
keep_all_busy(int count)
{
	long before[THREADS_MAX], now[THREADS_MAX];
	int busy;

	unsigned round = 0;

	await_threads(count);
	list_threads(before);
	do {
		/* Else the server might take the clients for a loop. */
		snprintf(message, sizeof(message), "%u", round++);
		send_all();
		expect_all();
		ck_assert_int_eq(list_threads(now), count);
		busy = 0;
		for (int i = 0; i < count; i++)
			busy += now[i] > before[i];
	} while (busy < count);
}

/*
 * A UDP socket that shares its port with others: *number, or if that is 0 one
 * that the kernel chooses.  -1 with errno.
 */
static int
open_shared(int *number)
{
	struct sockaddr_any address = inet_address("127.0.0.1", *number);
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, &address.any, address.len) == -1) {
		close(fd);
		return -1;
	}
	getsockname(fd, &address.any, &address.len);
	*number = ntohs(address.in.sin_port);
	return fd;
}

/* Returns 0 if another socket can share the server's port, else errno. */
static int
try_to_share(void)
{
	int fd = open_shared(&port);

	if (fd == -1)
		return errno;
	close(fd);
	return 0;
}

START_TEST(threads_share_the_clients)
{
	start(LISTENERS(UDP("3")));
	await_threads(3);
	ck_assert_ptr_nonnull(strstr(server.log, ", 3 threads\n"));
	/* The log has one line for all threads. */
	const char *line = strstr(server.log, "listening on");
	ck_assert_ptr_null(strstr(line + 1, "listening on"));
	open_clients();
	for (int round = 0; round < 10; round++) {
		send_all();
		expect_all();
	}
	daemon_await_counter(&server, "udp_messages_out", 10 * CLIENTS);
	keep_all_busy(3);
	close_clients();
	daemon_stop(&server);
}
END_TEST

START_TEST(one_thread_has_the_port_to_itself)
{
	start(LISTENERS(UDP("1")));
	await_threads(1);
	ck_assert_int_eq(try_to_share(), EADDRINUSE);
	daemon_stop(&server);
}
END_TEST

START_TEST(threads_do_not_share_the_port_of_others)
{
	const char *const arguments[] = { "-c", "conf", NULL };
	char config[256];
	int taken = 0, fd = open_shared(&taken);

	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"udp\"; address = \"127.0.0.1\";"
	    " port = %d; threads = 3; } );",
	    taken);
	scratch_write("conf", config);
	ck_assert_int_eq(daemon_run(&server, arguments), 69);
	/* The log has one line for all three. */
	const char *line = strstr(server.log, "Address already in use");
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_null(strstr(line + 1, "Address already in use"));
	free(server.log);
	close(fd);
}
END_TEST

/* Another number needs a restart; other settings take effect at once. */
START_TEST(a_reload_keeps_the_number_of_threads)
{
	static const char *const later[] = {
		LISTENERS(UDP("3")),
		LISTENERS(UDP("1")),
		LISTENERS(UDP("4")),
	};
	static const char *const warnings[] = {
		"reloaded",
		": threads = 1 takes effect after a restart",
		": threads = 4 takes effect after a restart",
	};

	/* More bytes than are allowed before the reload. */
	message_len = sizeof(message);
	start("listeners = ( { protocol = \"udp\"; address = \"127.0.0.1\"; "
	      "port = 0; threads = 3; } );");
	daemon_reload(&server, later[_i], warnings[_i]);
	if (_i > 0)
		daemon_await(&server, "reloaded");
	ck_assert_ptr_null(strstr(server.log, "no longer"));
	open_clients();
	keep_all_busy(3);
	ck_assert_int_eq(try_to_share(), 0);
	close_clients();
	daemon_stop(&server);
}
END_TEST

START_TEST(a_failed_reload_keeps_the_threads)
{
	start(LISTENERS(UDP("1")));
	open_clients();
	daemon_reload(&server,
	    LISTENERS(UDP("3") ", { protocol = \"tcp\"; "
			       "address = \"198.51.100.1\"; }"),
	    "reload refused");
	await_threads(1);
	ck_assert_int_eq(try_to_share(), EADDRINUSE);
	send_all();
	expect_all();
	close_clients();
	daemon_stop(&server);
}
END_TEST

START_TEST(a_removed_listener_ends_all_its_threads)
{
	start(LISTENERS(UDP("3") ", { protocol = \"tcp\"; port = 0; }"));
	daemon_reload(&server, LISTENERS("{ protocol = \"tcp\"; port = 0; }"),
	    "reloaded");
	await_threads(0);
	const char *line = strstr(server.log, "no longer listening");
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_null(strstr(line + 1, "no longer listening"));
	daemon_stop(&server);
}
END_TEST

/* The new configuration may have fewer or more threads. */
START_TEST(threads_continue_after_a_restart)
{
	static const char *const later[] = {
		LISTENERS(UDP("3")),
		LISTENERS(UDP("1")),
		LISTENERS(UDP("4")),
	};
	static const int numbers[] = { 3, 1, 4 };

	if (daemon_is_wrapped())
		return;
	/* More bytes than the default max_datagram. */
	message_len = sizeof(message);
	manager_open(20);
	manager_start(&server, LISTENERS(UDP("3")));
	port = daemon_port(&server, "udp 127.0.0.1");
	manager_await_kept(".listener", 3);
	open_clients();
	send_all();
	expect_all();
	manager_end(&server);
	send_all();
	manager_start(&server, later[_i]);
	ck_assert_int_eq(daemon_port(&server, "udp 127.0.0.1"), port);
	await_threads(numbers[_i]);
	expect_all();
	keep_all_busy(numbers[_i]);
	manager_await_kept(".listener", (size_t)numbers[_i]);
	close_clients();
	daemon_stop(&server);
}
END_TEST

/* A socket unit decides how many sockets there are. */
START_TEST(a_passed_socket_has_one_thread)
{
	char config[256];

	port = 0;
	manager_open(0);
	for (int i = 0; i < 2; i++)
		manager_pass(open_shared(&port), "s");
	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"udp\"; address = \"127.0.0.1\";"
	    " port = %d; threads = 3; } );",
	    port);
	manager_start(&server, config);
	await_threads(2);
	open_clients();
	send_all();
	expect_all();
	close_clients();
	daemon_stop(&server);
}
END_TEST

Suite *
threads_suite(void)
{
	Suite *suite = suite_create("threads");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, threads_share_the_clients);
	tcase_add_test(tests, one_thread_has_the_port_to_itself);
	tcase_add_test(tests, threads_do_not_share_the_port_of_others);
	tcase_add_loop_test(tests, a_reload_keeps_the_number_of_threads, 0, 3);
	tcase_add_test(tests, a_failed_reload_keeps_the_threads);
	tcase_add_test(tests, a_removed_listener_ends_all_its_threads);
	tcase_add_loop_test(tests, threads_continue_after_a_restart, 0, 3);
	tcase_add_test(tests, a_passed_socket_has_one_thread);
	suite_add_tcase(suite, tests);
	return suite;
}
