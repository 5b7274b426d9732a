#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define CONNECTIONS 100
#define FLOOD (32 * 1024 * 1024) /* more than all buffers hold */

#define LISTENERS                                                              \
	"workers = 2; limits: { drain_timeout = %d; };\n"                      \
	"listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "        \
	"port = 0; },\n"                                                       \
	"{ protocol = \"tcp\"; address = \"127.0.0.2\"; port = 0; "            \
	"framing = \"line\"; },\n"                                             \
	"{ protocol = \"udp\"; port = 0; },\n"                                 \
	"{ protocol = \"unix-seqpacket\"; path = \"%s/socket\"; } );\n"

static struct daemon server;
static char config[1024], path[128];
static int port, udp_port;

static void
start_draining(size_t store_size, const char *said, int drain_timeout)
{
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config), LISTENERS, drain_timeout, folder);
	snprintf(path, sizeof(path), "%s/socket", folder);
	manager_open(store_size);
	setenv("FDSTORE", said, 1); /* the manager's word for its size */
	manager_start(&server, config);
	manager_await("READY=1");
	port = daemon_port(&server, "tcp 127.0.0.1");
	udp_port = daemon_port(&server, "udp *");
}

static void
start_first(size_t store_size)
{
	char said[16];

	snprintf(said, sizeof(said), "%zu", store_size);
	start_draining(store_size, said, 5);
}

static void
finish(void)
{
	daemon_stop(&server);
	manager_await_kept("", 0);
	ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(connections_live_through_restarts)
{
	int clients[CONNECTIONS];
	char text[32];

	start_first(1000);
	for (int i = 0; i < CONNECTIONS; i++)
		client_talk(clients[i] = client_tcp(port), "before");
	int record = client_unix(path, SOCK_SEQPACKET);
	for (int turn = 0; turn < 3; turn++) {
		manager_end(&server);
		/* While no one is there to answer. */
		client_send(clients[0], "between", 7);
		int late = client_tcp(port), udp = client_udp(udp_port);
		client_send(late, "late", 4);
		client_send(udp, "datagram", 8);
		manager_start(&server, config);
		ck_assert_ptr_null(strstr(server.log, "without a state"));
		ck_assert_ptr_null(strstr(server.log, "did not come"));
		client_expect(clients[0], "between", 7);
		client_expect(late, "late", 4);
		client_expect_datagram(udp, "datagram", 8);
		close(late);
		close(udp);
		for (int i = 0; i < CONNECTIONS; i++) {
			snprintf(text, sizeof(text), "after %d", i);
			client_talk(clients[i], text);
		}
		client_send(record, "record", 6);
		client_expect_datagram(record, "record", 6);
		ck_assert_int_eq(daemon_port(&server, "tcp 127.0.0.1"), port);
		ck_assert_uint_eq(daemon_counter(&server, "taken_over"),
		    CONNECTIONS + 1);
	}
	shutdown(clients[0], SHUT_WR);
	client_expect_end(clients[0]);
	for (int i = 0; i < CONNECTIONS; i++)
		close(clients[i]);
	close(record);
	daemon_await_counter(&server, "open", 0);
	finish();
}
END_TEST

/*
 * A hand-over is not a drain: no client takes part in it.  Workers that are
 * busy come to it late.
 */
START_TEST(restarts_without_time_to_drain)
{
	int clients[CONNECTIONS];

	start_draining(1000, "1000", 0);
	for (int i = 0; i < CONNECTIONS; i++)
		client_talk(clients[i] = client_tcp(port), "before");
	for (int turn = 0; turn < 3; turn++) {
		daemon_pause(&server);
		for (int i = 0; i < CONNECTIONS; i++)
			client_send(clients[i], "between", 7);
		daemon_signal(&server, SIGUSR2);
		daemon_signal(&server, SIGCONT);
		manager_end(&server);
		int late = client_tcp(port);
		client_send(late, "late", 4);
		manager_start(&server, config);
		client_expect(late, "late", 4);
		close(late);
		for (int i = 0; i < CONNECTIONS; i++)
			client_expect(clients[i], "between", 7);
	}
	for (int i = 0; i < CONNECTIONS; i++)
		close(clients[i]);
	finish();
}
END_TEST

/* Each connection has its own state, among others. */
START_TEST(the_middle_of_a_line_stays_one)
{
	int others[4];

	start_first(100);
	for (int i = 0; i < 2; i++)
		client_talk(others[i] = client_tcp(port), "before");
	int fd = client_tcp_to("127.0.0.2",
	    daemon_port(&server, "tcp 127.0.0.2"));
	client_send(fd, "begun, ", 7);
	client_expect(fd, "begun, ", 7);
	for (int i = 2; i < 4; i++)
		client_talk(others[i] = client_tcp(port), "before");
	manager_end(&server);
	manager_start(&server, config);
	client_send(fd, "ended\nnext\n", 11);
	char rest[6];
	client_read(fd, rest, sizeof(rest));
	ck_assert_mem_eq(rest, "ended\n", sizeof(rest));
	client_expect(fd, "next\n", 5);
	close(fd);
	for (int i = 0; i < 4; i++) {
		client_talk(others[i], "two\nlines");
		close(others[i]);
	}
	finish();
}
END_TEST

/* Sends lines until neither side takes any more, over and over a restart. */
static void
flood(const char *address, int to_port)
{
	static char lines[FLOOD + 1];
	char reply[STAMP_LEN + 16];
	size_t sent = 0;
	ssize_t n;
	int fd = client_tcp_to(address, to_port);

	for (int i = 0; i < FLOOD / 16; i++)
		snprintf(lines + (size_t)i * 16, 17, "line %010d\n", i);
	while ((n = send(fd, lines + sent, FLOOD - sent, MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	ck_assert_uint_lt(sent, FLOOD);
	sent -= sent % 16;
	/* Somewhere in the middle of its replies. */
	manager_end(&server);
	manager_start(&server, config);
	for (size_t at = 0; at < sent; at += 16) {
		client_read(fd, reply, sizeof(reply));
		ck_assert_msg(memcmp(reply + STAMP_LEN, lines + at, 16) == 0,
		    "at %zu: %.*s", at, (int)sizeof(reply), reply);
	}
	close(fd);
}

START_TEST(a_client_that_does_not_read_loses_nothing)
{
	start_first(100);
	flood("127.0.0.2", daemon_port(&server, "tcp 127.0.0.2"));
	finish();
}
END_TEST

/* A stop: the client sees the end, and nothing is left. */
static void
expect_stop(int fd, const char *said)
{
	client_expect_end(fd);
	daemon_finish_saying(&server, said);
	manager_await_kept("", 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	close(fd);
}

/* The next process could not start, and what is handed over would be lost. */
START_TEST(with_a_bad_file_a_restart_is_a_stop)
{
	start_first(100);
	manager_await_kept(".listener", 4);
	int fd = client_tcp(port);
	client_talk(fd, "hello");
	daemon_pause(&server);
	client_send(fd, "unanswered", 10);
	scratch_write("conf", "workers = \"many\";");
	daemon_signal(&server, SIGUSR2);
	daemon_signal(&server, SIGCONT);
	client_expect(fd, "unanswered", 10);
	expect_stop(fd, "conf:1:11: workers: needs a whole number");
}
END_TEST

START_TEST(a_stop_stores_nothing)
{
	start_first(100);
	manager_await_kept(".listener", 4);
	int fd = client_tcp(port);
	client_talk(fd, "hello");
	daemon_signal(&server, SIGTERM);
	expect_stop(fd, "");
}
END_TEST

/* What is sent through carrier: one descriptor at a time. */
static void
send_one(int carrier, int fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec piece = { "", 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(carrier, &message, 0), 1);
	close(fd);
}

static int
receive_one(int carrier)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec piece = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	ck_assert_int_eq(recvmsg(carrier, &message, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return fd;
}

/* Or that may change while they are read. */
START_TEST(states_of_another_version_are_not_misread)
{
	static const char other[] = "timestampd connections 1\nend 0\n";
	int ends[2],
	    states = memfd_create("states", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	start_first(100);
	int fd = client_tcp(port);
	client_talk(fd, "hello");
	manager_end(&server);
	int carrier = manager_fd(".connections");
	manager_drop(".connections");
	close(receive_one(carrier));
	ck_assert_int_eq(write(states, other, sizeof(other) - 1),
	    sizeof(other) - 1);
	if (_i == 0)
		ck_assert_int_eq(fcntl(states, F_ADD_SEALS,
				     F_SEAL_SHRINK | F_SEAL_GROW |
					 F_SEAL_WRITE),
		    0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
			     ends),
	    0);
	send_one(ends[0], states);
	send_one(ends[0], receive_one(carrier));
	close(carrier);
	close(ends[0]);
	manager_pass(ends[1], ".connections");
	manager_start(&server, config);
	client_expect_end(fd);
	daemon_await_counter(&server, "closed_unknown", 1);
	ck_assert_uint_eq(daemon_counter(&server, "open"), 0);
	close(fd);
	client_talk(fd = client_tcp(port), "served all the same");
	close(fd);
	finish();
}
END_TEST

START_TEST(listeners_live_through_a_kill)
{
	start_first(100);
	daemon_signal(&server, SIGKILL);
	ck_assert_int_eq(daemon_wait(&server), 128 + SIGKILL);
	free(server.log);
	int fd = client_tcp(port);
	manager_start(&server, config);
	client_talk(fd, "hello");
	close(fd);
	finish();
}
END_TEST

START_TEST(a_listener_that_goes_is_not_kept)
{
	start_first(100);
	daemon_reload(&server,
	    "listeners = ( { protocol = \"udp\"; port = 0; } );", "reloaded");
	manager_await("READY=1");
	manager_await_kept(".listener", 1);
	daemon_reload(&server, config, "reloaded");
	manager_await("READY=1");
	manager_await_kept(".listener", 4);
	finish();
}
END_TEST

/* The socket of before is in the way of the one that is configured now. */
START_TEST(a_restart_may_move_a_listener)
{
	char narrow[128];

	/* A tracer has what is passed to its child as well. */
	if (!daemon_is_bare())
		return;
	manager_open(100);
	manager_start(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );");
	port = daemon_port(&server, "tcp *");
	manager_end(&server);
	int waiting = client_tcp(port);
	snprintf(narrow, sizeof(narrow),
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = %d; } );",
	    port);
	manager_start(&server, narrow);
	ck_assert_int_eq(daemon_port(&server, "tcp 127.0.0.1"), port);
	client_talk(waiting, "in the backlog of the old one");
	int fd = client_tcp(port);
	client_talk(fd, "at the new one");
	close(waiting);
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_path_goes_on_as_configured_now)
{
	char with_mode[256], without[256], folder[64];
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(with_mode, sizeof(with_mode),
	    "listeners = ( { protocol = \"unix\"; path = \"%s/s\"; "
	    "mode = \"0600\"; } );",
	    folder);
	snprintf(without, sizeof(without),
	    "listeners = ( { protocol = \"unix\"; path = \"%s/s\"; } );",
	    folder);
	manager_open(100);
	manager_start(&server, with_mode);
	manager_end(&server);
	manager_start(&server, without);
	ck_assert_int_eq(stat("s", &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0666);
	manager_end(&server);
	/* Gone, it is made anew. */
	ck_assert_int_eq(unlink("s"), 0);
	manager_start(&server, without);
	int fd = client_unix("s", SOCK_STREAM);
	client_talk(fd, "hello");
	close(fd);
	daemon_stop(&server);
	ck_assert_int_ne(access("s", F_OK), 0);
}
END_TEST

/* One client is in; a second one waits at a listener that a reload removes. */
static void
start_full(int drain_timeout, int *in, int *waiting)
{
	static const char limits[] =
	    "limits: { max_connections = 1; drain_timeout = %d; };\n"
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = 0; }%s );\n";

	manager_open(100);
	snprintf(config, sizeof(config), limits, drain_timeout,
	    ", { protocol = \"tcp\"; address = \"127.0.0.2\"; port = 0; }");
	manager_start(&server, config);
	*in = client_tcp(daemon_port(&server, "tcp 127.0.0.1"));
	client_talk(*in, "in");
	*waiting = client_tcp_to("127.0.0.2",
	    daemon_port(&server, "tcp 127.0.0.2"));
	daemon_await(&server, "new clients will wait");
	snprintf(config, sizeof(config), limits, drain_timeout, "");
	daemon_reload(&server, config, "reloaded");
}

/* A client for whom there is no room costs the others nothing. */
START_TEST(waiting_clients_do_not_end_others)
{
	int in, waiting;

	start_full(86400, &in, &waiting);
	daemon_signal(&server, SIGUSR2);
	manager_await("STOPPING=1");
	manager_await("EXTEND_TIMEOUT_USEC=15000000");
	daemon_finish_saying(&server, "listeners still drain");
	manager_start(&server, config);
	client_talk(in, "still in");
	close(in);
	close(waiting);
	daemon_stop(&server);
}
END_TEST

/* The time limit of a hand-over does not depend on drain_timeout. */
START_TEST(waiting_clients_get_room_in_a_restart)
{
	int in, waiting;

	start_full(0, &in, &waiting);
	daemon_signal(&server, SIGUSR2);
	daemon_await(&server, "the next process takes over");
	/* This signal is taken when the hand-over already waits. */
	daemon_await_counter(&server, "accepted", 1);
	close(in);
	daemon_finish(&server);
	manager_start(&server, config);
	client_talk(waiting, "in at last");
	close(waiting);
	daemon_stop(&server);
}
END_TEST

/*
 * Without a store; with one that has room for the four listeners, or not even
 * for them; the same when FDSTORE says that there is more.
 */
static const struct {
	size_t size;
	const char *said;
} too_small[] = { { 0, "0" }, { 4, "4" }, { 2, "2" }, { 4, "9" }, { 2, "9" },
	{ 0, "9" } };

START_TEST(without_room_it_is_a_stop)
{
	start_draining(too_small[_i].size, too_small[_i].said, 5);
	int fd = client_tcp(port);
	client_send(fd, "hello", 5);
	daemon_signal(&server, SIGUSR2);
	client_expect(fd, "hello", 5);
	expect_stop(fd, "");
}
END_TEST

/* Without connections that would tell. */
START_TEST(without_room_for_listeners_it_is_a_stop)
{
	start_draining(2, "9", 5);
	daemon_pause(&server);
	int fd = client_tcp(port);
	client_send(fd, "hello", 5);
	daemon_signal(&server, SIGUSR2);
	daemon_signal(&server, SIGCONT);
	client_expect(fd, "hello", 5);
	expect_stop(fd, "fewer (FDSTORE=9)");
}
END_TEST

Suite *
handover_suite(void)
{
	Suite *suite = suite_create("handover");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, connections_live_through_restarts);
	tcase_add_test(tests, restarts_without_time_to_drain);
	tcase_add_test(tests, the_middle_of_a_line_stays_one);
	tcase_add_test(tests, a_client_that_does_not_read_loses_nothing);
	tcase_add_test(tests, with_a_bad_file_a_restart_is_a_stop);
	tcase_add_test(tests, a_stop_stores_nothing);
	tcase_add_loop_test(tests, states_of_another_version_are_not_misread, 0,
	    2);
	tcase_add_test(tests, listeners_live_through_a_kill);
	tcase_add_test(tests, a_listener_that_goes_is_not_kept);
	tcase_add_test(tests, a_restart_may_move_a_listener);
	tcase_add_test(tests, a_path_goes_on_as_configured_now);
	tcase_add_test(tests, waiting_clients_do_not_end_others);
	tcase_add_test(tests, waiting_clients_get_room_in_a_restart);
	tcase_add_loop_test(tests, without_room_it_is_a_stop, 0,
	    sizeof(too_small) / sizeof(too_small[0]));
	tcase_add_test(tests, without_room_for_listeners_it_is_a_stop);
	suite_add_tcase(suite, tests);
	return suite;
}
