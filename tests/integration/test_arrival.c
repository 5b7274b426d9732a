#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define APART_NS 20000000 /* more than the resolution of each clock */

static struct daemon server;

static const char *
config_of(const char *source)
{
	static char text[2048];
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(text, sizeof(text),
	    "stamp: { format = \"epoch-ns\"; source = \"%s\"; };\n"
	    "listeners = ( { protocol = \"udp\"; port = 0; },\n"
	    "{ protocol = \"tcp\"; port = 0; framing = \"line\"; },\n"
	    "{ protocol = \"unix-dgram\"; path = \"%s/dgram\"; },\n"
	    "{ protocol = \"unix\"; path = \"%s/stream\"; },\n"
	    "{ protocol = \"unix-seqpacket\"; path = \"%s/record\"; } );\n",
	    source, folder, folder, folder);
	return text;
}

static void
start(void)
{
	daemon_start_config(&server, config_of("arrival"));
}

static void
stop(void)
{
	daemon_stop(&server);
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int
open_tcp(void)
{
	return client_tcp(daemon_port(&server, "tcp *"));
}

static int
open_udp(void)
{
	return client_udp(daemon_port(&server, "udp *"));
}

static int
open_udp6(void)
{
	return client_udp6(daemon_port(&server, "udp *"));
}

static int
open_datagram(void)
{
	return client_unix("dgram", SOCK_DGRAM);
}

static int
open_record(void)
{
	return client_unix("record", SOCK_SEQPACKET);
}

static int
open_stream(void)
{
	return client_unix("stream", SOCK_STREAM);
}

static uint64_t
read_stamp(int fd)
{
	char reply[64] = "";
	unsigned long long stamp;
	char last;

	ck_assert_int_gt(recv(fd, reply, sizeof(reply) - 1, 0), 0);
	ck_assert_msg(sscanf(reply, "[%llu] x%c", &stamp, &last) == 2, "%s",
	    reply);
	return stamp;
}

/*
 * Pauses the server, sends it a message and resumes it later.  Returns whether
 * the stamp is earlier than the resumption.
 */
static bool
is_stamped_by_arrival(int fd)
{
	daemon_pause(&server);
	uint64_t before = now_ns();
	client_send(fd, "x\n", 2);
	uint64_t sent = now_ns(), resumed;
	while ((resumed = now_ns()) < sent + APART_NS)
		;
	daemon_signal(&server, SIGCONT);
	uint64_t stamp = read_stamp(fd);
	ck_assert_uint_ge(stamp, before);
	ck_assert_uint_le(stamp, now_ns());
	return stamp < resumed;
}

/*
 * The kernel begins to record the arrival of packets a moment after the server
 * asks for it; until then the server uses the clock.
 */
static void
await_arrival(int fd)
{
	while (!is_stamped_by_arrival(fd))
		;
	for (int i = 0; i < 3; i++)
		ck_assert(is_stamped_by_arrival(fd));
}

static int (*const openers[])(void) = {
	open_tcp,
	open_udp,
	open_udp6,
	open_datagram,
	open_record,
};
#define OPENERS ((int)(sizeof(openers) / sizeof(openers[0])))

START_TEST(a_paused_server_stamps_the_arrival)
{
	int fd = openers[_i]();

	await_arrival(fd);
	close(fd);
}
END_TEST

START_TEST(the_first_data_of_a_connection_has_its_arrival)
{
	int warm = open_tcp();

	await_arrival(warm);
	daemon_pause(&server);
	int fd = open_tcp();
	client_send(fd, "x\n", 2);
	uint64_t sent = now_ns(), resumed;
	while ((resumed = now_ns()) < sent + APART_NS)
		;
	daemon_signal(&server, SIGCONT);
	ck_assert_uint_lt(read_stamp(fd), resumed);
	close(fd);
	close(warm);
}
END_TEST

START_TEST(a_unix_stream_uses_the_clock)
{
	int fd = open_stream();

	ck_assert(!is_stamped_by_arrival(fd));
	close(fd);
}
END_TEST

/* From clock to arrival and back, also for connections that are open. */
START_TEST(a_reload_changes_the_source)
{
	int fd = openers[_i](), later;

	await_arrival(fd);
	daemon_reload(&server, config_of("clock"), "reloaded");
	client_send(fd, "x\n", 2);
	read_stamp(fd);
	ck_assert(!is_stamped_by_arrival(fd));
	ck_assert(!is_stamped_by_arrival(later = openers[_i]()));
	daemon_reload(&server, config_of("arrival"), "reloaded");
	await_arrival(later);
	await_arrival(fd);
	close(later);
	close(fd);
}
END_TEST

/* From clock to arrival and back, for sockets from the store. */
START_TEST(a_restart_changes_the_source)
{
	/* A wrapper would inherit the passed sockets and keep them open. */
	if (!daemon_is_bare())
		return;
	daemon_stop(&server);
	manager_open(100);
	manager_start(&server, config_of("clock"));
	int fd = openers[_i]();
	client_send(fd, "x\n", 2);
	read_stamp(fd);
	manager_end(&server);
	manager_start(&server, config_of("arrival"));
	await_arrival(fd);
	manager_end(&server);
	manager_start(&server, config_of("clock"));
	client_send(fd, "x\n", 2);
	read_stamp(fd);
	ck_assert(!is_stamped_by_arrival(fd));
	close(fd);
}
END_TEST

/* The control buffer has room for the arrival only. */
START_TEST(descriptors_of_a_unix_client_are_not_taken)
{
	int fd = _i == 0 ? open_datagram() : open_record();

	client_send(fd, "x\n", 2);
	read_stamp(fd);
	int before = daemon_open_files(&server);
	for (int i = 0; i < 70; i++) {
		client_send_descriptor(fd, "x\n");
		read_stamp(fd);
	}
	/* The server closes a client's path after it has sent the reply. */
	while (daemon_open_files(&server) > before)
		;
	close(fd);
}
END_TEST

Suite *
arrival_suite(void)
{
	Suite *suite = suite_create("arrival");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_loop_test(tests, a_paused_server_stamps_the_arrival, 0,
	    OPENERS);
	tcase_add_test(tests, the_first_data_of_a_connection_has_its_arrival);
	tcase_add_test(tests, a_unix_stream_uses_the_clock);
	tcase_add_loop_test(tests, a_reload_changes_the_source, 0, OPENERS);
	tcase_add_loop_test(tests, a_restart_changes_the_source, 0, OPENERS);
	tcase_add_loop_test(tests, descriptors_of_a_unix_client_are_not_taken,
	    0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
