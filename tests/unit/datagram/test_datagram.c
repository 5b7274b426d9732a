#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/datagram.h"
#include "harness/client.h"
#include "harness/daemon.h"
#include "net/sockaddr.h"
#include "net/sockopt.h"
#include "unit/suites.h"

static struct datagram_thread *thread;
static struct counters counters;
static int server_fd, port, done_fd;

static struct datagram_settings
settings_of(const char *format, int max_datagram)
{
	struct datagram_settings settings = { .max_datagram = max_datagram };

	struct stamp_format compiled;

	ck_assert_int_eq(stamp_format_compile(&compiled, format, NULL, 0), 0);
	stamp_init(&settings.stamp, &compiled);
	return settings;
}

/* A socket on loopback, and its address. */
static int
open_socket(struct sockaddr_any *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*address = (struct sockaddr_any){ .len = sizeof(address->in) };
	address->in.sin_family = AF_INET;
	address->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, &address->any, address->len), 0);
	ck_assert_int_eq(getsockname(fd, &address->any, &address->len), 0);
	return fd;
}

static void
start(void)
{
	struct sockaddr_any address;
	struct datagram_settings settings = settings_of("ctime", 10);

	server_fd = open_socket(&address);
	port = sockaddr_port(&address);
	done_fd = eventfd(0, EFD_CLOEXEC);
	thread = datagram_start(0, server_fd, PROTOCOL_UDP, &settings, done_fd);
	ck_assert_ptr_nonnull(thread);
}

/* Waits for the event: nothing else says when a join does not wait. */
static void
end_thread(struct datagram_thread *ending, struct counters *sum)
{
	eventfd_t ended;

	ck_assert(!datagram_has_ended(ending));
	datagram_order_end(ending);
	ck_assert_int_eq(eventfd_read(done_fd, &ended), 0);
	ck_assert_uint_eq(ended, 1);
	ck_assert(datagram_has_ended(ending));
	datagram_ping(ending);
	ck_assert(datagram_is_responsive(ending));
	datagram_join(ending, sum);
}

static void
stop(void)
{
	end_thread(thread, &counters);
	close(server_fd);
	close(done_fd);
}

START_TEST(answers_and_counts)
{
	int fd = client_udp(port);

	/* A socket may be blocking or not. */
	fcntl(server_fd, F_SETFL, _i == 0 ? 0 : O_NONBLOCK);
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	client_send(fd, "eleven byte", 11);
	client_send(fd, "ten bytes.", 10);
	client_expect_datagram(fd, "ten bytes.", 10);
	ck_assert_uint_eq(counters_get(datagram_counters(thread),
			      COUNTER_DROPPED_OVERSIZE),
	    1);
	close(fd);
}
END_TEST

START_TEST(new_settings_hold_for_the_next_datagram)
{
	struct datagram_settings settings = settings_of("%%", 11);
	char reply[32];
	int fd = client_udp(port);

	ck_assert_int_eq(datagram_configure(thread, &settings), 0);
	client_send(fd, "eleven byte", 11);
	ck_assert_int_eq(recv(fd, reply, sizeof(reply), 0), 15);
	ck_assert_mem_eq(reply, "[%] eleven byte", 15);

	uint16_t client_port;
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	ck_assert_int_eq(getsockname(fd, &local.any, &local.len), 0);
	client_port = sockaddr_port(&local);
	settings.ports = &client_port;
	settings.port_count = 1;
	ck_assert_int_eq(datagram_configure(thread, &settings), 0);
	client_send(fd, "x", 1);
	while (
	    counters_get(datagram_counters(thread), COUNTER_DROPPED_PORT) == 0)
		sched_yield();
	ck_assert_int_eq(recv(fd, reply, sizeof(reply), MSG_DONTWAIT), -1);
	close(fd);
}
END_TEST

static bool
kernel_notes_arrival(void)
{
	int on;
	socklen_t len = sizeof(on);

	ck_assert_int_eq(getsockopt(server_fd, SOL_SOCKET, SO_TIMESTAMPNS, &on,
			     &len),
	    0);
	return on != 0;
}

/* Memcheck runs a thread at a time: it meets no more in more rounds. */
static int
rounds(int count)
{
	return daemon_is_wrapped() ? count / 20 : count;
}

START_TEST(new_settings_need_no_datagram)
{
	struct datagram_settings settings = settings_of("ctime", 10);

	for (int i = rounds(1000); i > 0; i--) {
		settings.arrival = !settings.arrival;
		ck_assert_int_eq(datagram_configure(thread, &settings), 0);
		while (kernel_notes_arrival() != settings.arrival)
			sched_yield();
	}
}
END_TEST

/* Whether it is about to wait or waits: no ping is lost. */
START_TEST(every_ping_is_answered)
{
	for (int i = rounds(10000); i > 0; i--) {
		datagram_ping(thread);
		while (!datagram_is_responsive(thread))
			sched_yield();
	}
}
END_TEST

/* Whether the thread starts, is about to wait or waits. */
START_TEST(a_stop_never_hangs)
{
	struct datagram_settings settings = settings_of("ctime", 10);

	for (int i = rounds(300); i > 0; i--) {
		struct datagram_thread *other = datagram_start(1, server_fd,
		    PROTOCOL_UDP, &settings, done_fd);
		ck_assert_ptr_nonnull(other);
		if (i % 2 == 0) {
			datagram_ping(other);
			while (!datagram_is_responsive(other))
				sched_yield();
		}
		end_thread(other, &counters);
	}
}
END_TEST

static void
await_receive_errors(const struct datagram_thread *other, uint64_t count)
{
	while (counters_get(datagram_counters(other), COUNTER_RECEIVE_ERRORS) <
	       count)
		sched_yield();
}

START_TEST(a_failing_receive_does_not_end_the_thread)
{
	struct datagram_settings settings = settings_of("ctime", 10);
	/* Always ready to be read, but not a socket. */
	int fd = open("/dev/null", O_RDONLY);

	struct datagram_thread *other = datagram_start(1, fd, PROTOCOL_UDP,
	    &settings, done_fd);
	ck_assert_ptr_nonnull(other);
	await_receive_errors(other, 3);
	datagram_ping(other);
	while (!datagram_is_responsive(other))
		sched_yield();
	end_thread(other, &counters);
	close(fd);
}
END_TEST

/* After the second error in a row the thread pauses. */
START_TEST(a_stop_in_a_pause_is_not_lost)
{
	struct datagram_settings settings = settings_of("ctime", 10);
	int ends[2];

	/* Neither a socket nor ever ready to be read. */
	ck_assert_int_eq(pipe(ends), 0);
	struct datagram_thread *other = datagram_start(1, ends[0], PROTOCOL_UDP,
	    &settings, done_fd);
	ck_assert_ptr_nonnull(other);
	await_receive_errors(other, 1);
	datagram_ping(other);
	await_receive_errors(other, 2);
	end_thread(other, &counters);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/* The next receive on fd fails: a datagram that it sent was refused. */
static void
have_receive_fail(int fd)
{
	struct pollfd failed = { .fd = fd };
	struct sockaddr_any closed;
	int on = 1;

	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on,
			     sizeof(on)),
	    0);
	close(open_socket(&closed));
	ck_assert_int_eq(sendto(fd, "x", 1, 0, &closed.any, closed.len), 1);
	ck_assert_int_eq(poll(&failed, 1, -1), 1);
	ck_assert_int_eq(failed.revents, POLLERR);
}

/* A thread that is stopped at once has often not received yet. */
START_TEST(a_failing_receive_at_a_stop_loses_nothing)
{
	struct datagram_settings settings = settings_of("ctime", 10);

	for (int i = 0; i < 10; i++) {
		struct counters sum = { 0 };
		struct sockaddr_any address;
		int other_fd = open_socket(&address);
		have_receive_fail(other_fd);
		int fd = client_udp(sockaddr_port(&address));
		client_send(fd, "hello", 5);
		struct datagram_thread *other = datagram_start(1, other_fd,
		    PROTOCOL_UDP, &settings, done_fd);
		ck_assert_ptr_nonnull(other);
		end_thread(other, &sum);
		client_expect_datagram(fd, "hello", 5);
		ck_assert_uint_eq(counters_get(&sum, COUNTER_RECEIVE_ERRORS),
		    1);
		close(fd);
		close(other_fd);
	}
}
END_TEST

/* Whoever passes a socket may have asked for them: poll(2) would not wait. */
START_TEST(no_queued_errors_stay)
{
	struct sockaddr_any address;
	int fd = open_socket(&address);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	have_receive_fail(fd);
	ck_assert_int_eq(sockopt_set_up(fd, PROTOCOL_UDP, AF_INET), 0);
	ck_assert_int_eq(recv(fd, (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
	close(fd);
}
END_TEST

Suite *
datagram_suite(void)
{
	Suite *suite = suite_create("datagram");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_loop_test(tests, answers_and_counts, 0, 2);
	tcase_add_test(tests, new_settings_hold_for_the_next_datagram);
	tcase_add_test(tests, new_settings_need_no_datagram);
	tcase_add_test(tests, every_ping_is_answered);
	tcase_add_test(tests, a_stop_never_hangs);
	tcase_add_test(tests, a_failing_receive_does_not_end_the_thread);
	tcase_add_test(tests, a_stop_in_a_pause_is_not_lost);
	tcase_add_test(tests, a_failing_receive_at_a_stop_loses_nothing);
	tcase_add_test(tests, no_queued_errors_stay);
	suite_add_tcase(suite, tests);
	return suite;
}
