#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

static struct daemon server;
static int chunk_port, line_port;

/* Chunk and line listeners of each kind; one worker serves all of them. */
static void
start(void)
{
	char config[2048], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "workers = 1; limits: { idle_timeout = 2; send_timeout = 2; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; },\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = 0;\n"
	    "  framing = \"line\"; },\n"
	    "{ protocol = \"unix\"; path = \"%s/chunk\"; },\n"
	    "{ protocol = \"unix\"; path = \"%s/line\"; framing = \"line\"; },"
	    "{ protocol = \"unix-seqpacket\"; path = \"%s/packet\"; } );\n",
	    folder, folder, folder);
	daemon_start_config(&server, config);
	chunk_port = daemon_port(&server, "tcp *");
	line_port = daemon_port(&server, "tcp 127.0.0.1");
}

static void
stop(void)
{
	daemon_stop(&server);
}

START_TEST(tcp_over_ipv4_and_ipv6)
{
	int four = client_tcp(chunk_port), six = client_tcp6(chunk_port);

	client_talk(four, "hello\n");
	client_talk(six, "hello");
	client_talk(four, "again");
	close(four);
	close(six);
}
END_TEST

/* To close a descriptor whose socket lingers would block the worker. */
START_TEST(descriptors_are_refused)
{
	int stream = client_unix("chunk", SOCK_STREAM);
	int record = client_unix("packet", SOCK_SEQPACKET);

	if (client_may_refuse_descriptors(stream)) {
		ck_assert(!client_send_descriptor(stream, "hello"));
		ck_assert(!client_send_descriptor(record, "hello"));
		client_expect(stream, "hello", 5);
		client_expect_datagram(record, "hello", 5);
	}
	close(stream);
	close(record);
}
END_TEST

START_TEST(unix_stream)
{
	int fd = client_unix("chunk", SOCK_STREAM);

	client_talk(fd, "hello");
	close(fd);
	fd = client_unix("line", SOCK_STREAM);
	client_send(fd, "a\nb", 3);
	client_expect(fd, "a\n", 2);
	client_expect(fd, "b", 1);
	close(fd);
}
END_TEST

START_TEST(seqpacket_keeps_records)
{
	int fd = client_unix("packet", SOCK_SEQPACKET);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(send(fd, "abcd", (size_t)i, 0), i);
	for (size_t i = 0; i < 3; i++)
		client_expect_datagram(fd, "abcd", i);
	close(fd);
}
END_TEST

START_TEST(half_close_is_answered_in_full)
{
	char end;
	int fd = client_tcp(chunk_port);

	client_send(fd, "bye", 3);
	shutdown(fd, SHUT_WR);
	client_expect(fd, "bye", 3);
	client_expect_end(fd);
	close(fd);
	fd = client_tcp(line_port);
	shutdown(fd, SHUT_WR);
	ck_assert_uint_eq(client_read_end(fd, &end, 1), 0);
	close(fd);
}
END_TEST

START_TEST(one_byte_at_a_time)
{
	static const char text[] = "a slow line\r\nand one more\n";
	char reply[2 * STAMP_LEN + sizeof(text)];
	int fd = client_tcp(line_port);
	size_t got = 0;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		size_t wanted = i == 0 || text[i - 1] == '\n' ? STAMP_LEN + 1
		                                              : 1;
		client_send(fd, &text[i], 1);
		client_read(fd, reply + got, wanted);
		got += wanted;
	}
	ck_assert_mem_eq(reply + STAMP_LEN, "a slow line\r\n[", 14);
	ck_assert_mem_eq(reply + 2 * STAMP_LEN + 13, "and one more\n", 13);
	close(fd);
}
END_TEST

static void
send_urgent(int fd, const char *text)
{
	size_t len = strlen(text);

	ck_assert_int_eq(send(fd, text, len, MSG_OOB), (ssize_t)len);
}

/* The kernel ends a receive before the last urgent byte. */
START_TEST(urgent_bytes_are_answered_in_their_place)
{
	int fds[] = {
		client_tcp(chunk_port),
		client_tcp(line_port),
		client_unix("chunk", SOCK_STREAM),
		client_unix("line", SOCK_STREAM),
	};
	char reply[512], text[512];
	size_t text_len = 0;
	int fd = fds[_i];

	send_urgent(fd, "\n");
	client_expect(fd, "\n", 1);
	send_urgent(fd, "a\nb");
	client_send(fd, "c\n", 2);
	send_urgent(fd, "d");
	send_urgent(fd, "e\n");
	shutdown(fd, SHUT_WR);
	size_t len = client_read_end(fd, reply, sizeof(reply));
	for (size_t i = 0; i < len; i++)
		if (reply[i] == '[')
			i += STAMP_LEN - 1;
		else
			text[text_len++] = reply[i];
	ck_assert_uint_eq(text_len, 8);
	ck_assert_mem_eq(text, "a\nbc\nde\n", 8);
	if (_i % 2 == 1)
		ck_assert_uint_eq(len, text_len + 3 * STAMP_LEN);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
}
END_TEST

START_TEST(nul_bytes_and_cr_lf_pass)
{
	int fd = client_tcp(chunk_port);

	client_send(fd, "\0\r\n\0", 4);
	client_expect(fd, "\0\r\n\0", 4);
	close(fd);
	fd = client_tcp(line_port);
	client_send(fd, "\0\r\n\0\r\n", 6);
	client_expect(fd, "\0\r\n", 3);
	client_expect(fd, "\0\r\n", 3);
	close(fd);
}
END_TEST

struct stream {
	int fd;
	size_t len;
};

static char
nth_byte(size_t n)
{
	return (char)('a' + n % 25);
}

static void *
send_stream(void *arg)
{
	struct stream *stream = arg;
	static char piece[1 << 16];

	for (size_t sent = 0; sent < stream->len; sent += sizeof(piece)) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = nth_byte(sent + i);
		client_send(stream->fd, piece, sizeof(piece));
	}
	shutdown(stream->fd, SHUT_WR);
	return NULL;
}

START_TEST(a_hundred_megabytes_without_newline_are_one_line)
{
	struct stream stream = { client_tcp(line_port), 100 << 20 };
	static char reply[1 << 16];
	pthread_t sender;
	size_t got = 0;
	ssize_t n;

	pthread_create(&sender, NULL, send_stream, &stream);
	client_read(stream.fd, reply, STAMP_LEN);
	ck_assert_int_eq(reply[0], '[');
	while ((n = recv(stream.fd, reply, sizeof(reply), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, got++)
			if (reply[i] != nth_byte(got))
				ck_abort_msg("byte %zu is wrong", got);
	ck_assert_uint_eq(got, stream.len);
	pthread_join(sender, NULL);
	close(stream.fd);
	long peak = daemon_status(&server, "VmHWM:");
	ck_assert(peak < 16 << 10 || !daemon_is_bare());
}
END_TEST

#define LINES 600000

/* Line n has n % 100 letters. */
static void *
send_lines(void *arg)
{
	static char piece[1 << 16];
	size_t len = 0;

	for (size_t n = 0; n < LINES; n++) {
		memset(piece + len, (int)('a' + n % 26), n % 100);
		len += n % 100;
		piece[len++] = '\n';
		if (len > sizeof(piece) - 100 || n == LINES - 1) {
			client_send(*(int *)arg, piece, len);
			len = 0;
		}
	}
	shutdown(*(int *)arg, SHUT_WR);
	return NULL;
}

/* What of the replies was read: line n up to its byte at. */
struct progress {
	size_t n, at;
};

static void
check_lines(struct progress *progress, const char *data, size_t len)
{
	size_t *at = &progress->at, *n = &progress->n;

	for (size_t i = 0; i < len; i++, ++*at) {
		size_t line_len = STAMP_LEN + *n % 100;
		char c = (char)('a' + *n % 26);
		bool is_good = *at < STAMP_LEN || data[i] == c;

		if (*at == 0)
			is_good = data[i] == '[';
		else if (*at == line_len)
			is_good = data[i] == '\n';
		if (!is_good)
			ck_abort_msg("byte %zu of line %zu is wrong", *at, *n);
		if (*at == line_len) {
			*at = SIZE_MAX;
			++*n;
		}
	}
}

/*
 * While it is alone the stream is received by large pieces; with the neighbour,
 * in the second half, by small ones.  The server sends faster than the client
 * checks.
 */
START_TEST(a_stream_and_then_its_neighbour_are_answered)
{
	int fd = client_tcp(line_port), other = client_tcp(chunk_port);
	static char reply[1 << 18];
	struct progress progress = { 0, 0 };
	pthread_t sender;
	ssize_t n;

	pthread_create(&sender, NULL, send_lines, &fd);
	for (int i = 0; (n = recv(fd, reply, sizeof(reply), 0)) > 0; i++) {
		check_lines(&progress, reply, (size_t)n);
		if (progress.n > LINES / 2 && i % 16 == 0)
			client_talk(other, "hello");
	}
	pthread_join(sender, NULL);
	ck_assert_uint_eq(progress.n, LINES);
	close(fd);
	client_talk(other, "still here");
	close(other);
}
END_TEST

/* The next client is served. */
START_TEST(a_reset_costs_one_connection)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	int other = client_tcp(chunk_port);

	for (int i = 0; i < 100; i++) {
		int fd = client_tcp(i % 2 == 0 ? chunk_port : line_port);
		client_send(fd, "x", 1);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	client_talk(other, "still here");
	close(other);
	/* Those that wait in the backlog are not open yet. */
	daemon_await_counter(&server, "accepted", 101);
	daemon_await_counter(&server, "open", 0);
}
END_TEST

START_TEST(a_silent_client_is_closed_when_idle)
{
	int fd = client_tcp(chunk_port), talker = client_tcp(chunk_port);

	client_expect_end(fd);
	close(fd);
	client_expect_end(talker);
	close(talker);
	daemon_await_counter(&server, "closed_idle", 2);
	/* The worker has no connection now, and still serves the next one. */
	fd = client_tcp(chunk_port);
	client_talk(fd, "x");
	client_expect_end(fd);
	close(fd);
}
END_TEST

/* Sends until all buffers on the path are full; returns how many bytes. */
static size_t
fill(int fd, const char *piece, size_t len)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	size_t sent = 0;

	while (poll(&room, 1, 500) == 1 && (room.revents & POLLERR) == 0) {
		ssize_t n = send(fd, piece, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1)
			break;
		sent += (size_t)n;
	}
	return sent;
}

START_TEST(a_client_that_never_reads_is_closed)
{
	static char newlines[1 << 16];
	int fd = client_tcp(_i == 0 ? chunk_port : line_port);
	int other = client_tcp(chunk_port);
	long before = daemon_private_memory(&server);

	memset(newlines, '\n', sizeof(newlines));
	ck_assert_uint_gt(fill(fd, newlines, sizeof(newlines)), 0);
	long memory = daemon_private_memory(&server) - before;
	ck_assert(memory < 1024 || !daemon_is_bare());
	client_talk(other, "served meanwhile");
	daemon_await_counter(&server, "closed_send_timeout", 1);
	close(fd);
	close(other);
}
END_TEST

START_TEST(a_client_that_reads_late_loses_nothing)
{
	static char newlines[1 << 20], reply[1 << 20];
	int fd = client_tcp(line_port);
	size_t lines, len = 0;
	ssize_t n;

	memset(newlines, '\n', sizeof(newlines));
	lines = fill(fd, newlines, sizeof(newlines));
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, reply, sizeof(reply), 0)) > 0)
		for (ssize_t i = 0; i < n; i++, len++)
			if (reply[i] != '[' && len % (STAMP_LEN + 1) == 0)
				ck_abort_msg("no stamp at byte %zu", len);
	ck_assert_uint_eq(len, lines * (STAMP_LEN + 1));
	close(fd);
}
END_TEST

static _Atomic bool enough;

static void *
send_until_enough(void *arg)
{
	static char piece[1 << 16];
	const struct stream *stream = arg;

	while (!enough)
		client_send(stream->fd, piece, sizeof(piece));
	shutdown(stream->fd, SHUT_WR);
	return NULL;
}

static void *
drain(void *arg)
{
	static char buffer[1 << 16];
	const struct stream *stream = arg;

	while (recv(stream->fd, buffer, sizeof(buffer), 0) > 0)
		;
	return NULL;
}

/* One worker serves both and must not stay with the first until its end. */
START_TEST(a_busy_client_does_not_starve_another)
{
	struct stream busy = { client_tcp(line_port), 0 };
	pthread_t sender, reader;
	int fd = client_tcp(chunk_port);

	pthread_create(&reader, NULL, drain, &busy);
	pthread_create(&sender, NULL, send_until_enough, &busy);
	for (int i = 0; i < 100; i++)
		client_talk(fd, "between");
	enough = true;
	close(fd);
	pthread_join(sender, NULL);
	pthread_join(reader, NULL);
	close(busy.fd);
}
END_TEST

Suite *
stream_suite(void)
{
	Suite *suite = suite_create("stream");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 300);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, tcp_over_ipv4_and_ipv6);
	tcase_add_test(tests, unix_stream);
	tcase_add_test(tests, descriptors_are_refused);
	tcase_add_test(tests, seqpacket_keeps_records);
	tcase_add_test(tests, half_close_is_answered_in_full);
	tcase_add_test(tests, one_byte_at_a_time);
	tcase_add_loop_test(tests, urgent_bytes_are_answered_in_their_place, 0,
	    4);
	tcase_add_test(tests, nul_bytes_and_cr_lf_pass);
	tcase_add_test(tests, a_hundred_megabytes_without_newline_are_one_line);
	tcase_add_test(tests, a_stream_and_then_its_neighbour_are_answered);
	tcase_add_test(tests, a_reset_costs_one_connection);
	tcase_add_test(tests, a_silent_client_is_closed_when_idle);
	tcase_add_loop_test(tests, a_client_that_never_reads_is_closed, 0, 2);
	tcase_add_test(tests, a_client_that_reads_late_loses_nothing);
	tcase_add_test(tests, a_busy_client_does_not_starve_another);
	suite_add_tcase(suite, tests);
	return suite;
}
