#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/inet.h"
#include "stream/conn.h"
#include "unit/suites.h"

static struct conn_io io;
static struct stamp stamp;
static struct counters counters;
static int client;

/* A connection whose client's end is client, with small buffers. */
static struct conn *
open_conn(enum protocol protocol, enum framing framing)
{
	int ends[2], type = protocol_socket_type(protocol), on = 1;
	struct stamp_format format;

	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends), 0);
	setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	client = ends[1];
	stamp_set_zone("UTC", NULL);
	ck_assert_int_eq(stamp_format_compile(&format, "ctime", NULL, 0), 0);
	io.stamp = &stamp;
	stamp_init(&stamp, &format);
	io.counters = &counters;
	return conn_new(ends[0], protocol, framing, 0);
}

/* All that the server's end does until it wants what it can't have yet. */
static enum conn_want
run(struct conn *conn)
{
	for (;;) {
		uint64_t before = conn->bytes_in + conn->bytes_out +
		                  conn->messages;
		enum conn_want want = conn_ready(conn, &io);
		bool moved = conn->bytes_in + conn->bytes_out +
		                 conn->messages !=
		             before;
		if (want == CONN_WANT_CLOSE || (want == conn->want && !moved))
			return want;
		conn->want = want;
	}
}

static size_t
read_some(char *data, size_t size)
{
	ssize_t n = recv(client, data, size, 0);

	return n > 0 ? (size_t)n : 0;
}

START_TEST(a_message_is_answered)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX, FRAMING_CHUNK);
	char reply[64];

	ck_assert_int_eq(send(client, "hello", 5, 0), 5);
	ck_assert_int_eq(run(conn), CONN_WANT_READ);
	ck_assert_uint_eq(read_some(reply, sizeof(reply)), 32);
	ck_assert_mem_eq(reply + 25, "] hello", 7);
	shutdown(client, SHUT_WR);
	ck_assert_int_eq(run(conn), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_CLIENT);
	conn_close(conn, &counters, conn->close_reason, 1);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_CLOSED_CLIENT), 1);
}
END_TEST

START_TEST(an_empty_record_is_a_message_the_end_is_not)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX_SEQPACKET, FRAMING_CHUNK);
	char reply[64];

	ck_assert_int_eq(send(client, "", 0, 0), 0);
	ck_assert_int_eq(send(client, "a", 1, 0), 1);
	shutdown(client, SHUT_WR);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_READ);
	ck_assert_uint_eq(read_some(reply, sizeof(reply)), 27);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_READ);
	ck_assert_uint_eq(read_some(reply, sizeof(reply)), 28);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_CLIENT);
	conn_close(conn, &counters, conn->close_reason, 1);
}
END_TEST

START_TEST(a_record_too_long_to_answer_ends_the_connection)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX_SEQPACKET, FRAMING_CHUNK);
	static char record[CONN_KEPT_MAX];

	ck_assert_int_eq(send(client, record, sizeof(record), 0),
	    (int)sizeof(record));
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_ERROR);
	conn_close(conn, &counters, conn->close_reason, 1);
}
END_TEST

/* As of a socket that does not tell credentials: there is room for others. */
START_TEST(descriptors_that_come_along_are_closed)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX_SEQPACKET, FRAMING_CHUNK);
	static char record[CONN_KEPT_MAX];
	int off = 0, next = dup(client);

	close(next);
	setsockopt(conn->fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	client_send_descriptor(client, "a");
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_READ);
	ck_assert_int_eq(fcntl(next, F_GETFD), -1);
	memset(record, 'a', sizeof(record) - 1);
	client_send_descriptor(client, record);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(fcntl(next, F_GETFD), -1);
	conn_close(conn, &counters, conn->close_reason, 1);
}
END_TEST

/* Takes the stamps out of a reply to data without brackets, in place. */
static size_t
strip_stamps(char *data, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		if (data[i] == '[') {
			ck_assert_mem_eq(data + i + 25, "] ", 2);
			i += 26;
		} else {
			data[out++] = data[i];
		}
	}
	return out;
}

static size_t
kept_bytes(const struct conn *conn)
{
	struct conn_state state;

	conn_save(conn, &state, 0);
	return state.out_len + state.in_len;
}

/* What a client sends, how much of it is sent, and what has come back. */
struct exchange {
	char sent[1 << 20], got[1 << 25];
	size_t sent_len, got_len;
};

static void
compose_lines(struct exchange *exchange, int mean_len)
{
	for (size_t i = 0; i < sizeof(exchange->sent); i++)
		exchange->sent[i] = random() % mean_len == 0 ? '\n' : 'x';
}

static bool
is_all_answered(const struct exchange *exchange, const struct conn *conn)
{
	return exchange->sent_len == sizeof(exchange->sent) &&
	       conn->want == CONN_WANT_READ &&
	       conn->bytes_in == exchange->sent_len &&
	       conn->bytes_out == exchange->got_len;
}

/* Sends what the socket takes, and lets the connection answer it. */
static void
send_more(struct exchange *exchange, struct conn *conn)
{
	ssize_t n = send(client, exchange->sent + exchange->sent_len,
	    sizeof(exchange->sent) - exchange->sent_len, 0);

	if (n > 0)
		exchange->sent_len += (size_t)n;
	conn->want = conn_ready(conn, &io);
	ck_assert_int_ne(conn->want, CONN_WANT_CLOSE);
	ck_assert_uint_le(kept_bytes(conn), CONN_KEPT_MAX);
}

static void
read_more(struct exchange *exchange, size_t len)
{
	exchange->got_len += read_some(exchange->got + exchange->got_len, len);
}

static void
expect_all_back(struct exchange *exchange, const struct conn *conn)
{
	ck_assert_uint_eq(exchange->got_len,
	    sizeof(exchange->sent) + 27 * conn->messages);
	size_t len = strip_stamps(exchange->got, exchange->got_len);
	ck_assert_uint_eq(len, sizeof(exchange->sent));
	ck_assert_mem_eq(exchange->got, exchange->sent, len);
}

/*
 * A client that sends much and reads little and late gets every byte back, and
 * never more is kept for it than promised.
 */
START_TEST(a_slow_reader_loses_nothing)
{
	enum framing framing = _i % 2 == 0 ? FRAMING_CHUNK : FRAMING_LINE;
	struct conn *conn = open_conn(PROTOCOL_UNIX, framing);
	static struct exchange exchange;

	srandom((unsigned)_i);
	compose_lines(&exchange, 1 + _i);
	while (!is_all_answered(&exchange, conn)) {
		send_more(&exchange, conn);
		read_more(&exchange, 1 + (size_t)random() % 5000);
	}
	expect_all_back(&exchange, conn);
	conn_close(conn, &counters, CLOSE_CLIENT, 1);
}
END_TEST

static void
connect_tcp(int ends[2])
{
	int port, listener = inet_server(SOCK_STREAM, &port);

	ends[1] = client_tcp(port);
	ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(ends[0], 0);
	close(listener);
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
}

/* Each line of text without brackets has a stamp, and there are no others. */
static void
expect_stamped_lines(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((i == 0 || data[i - 1] == '\n') != (data[i] == '['))
			ck_abort_msg("byte %zu is wrong", i);
}

/* A connection over TCP, to which bulk is lent. */
static struct conn *
open_bulk(struct bulk *bulk)
{
	int ends[2];

	conn_free(open_conn(PROTOCOL_UNIX, FRAMING_LINE));
	close(client);
	connect_tcp(ends);
	client = ends[1];
	io.loan.bulk = bulk;
	return conn_new(ends[0], PROTOCOL_TCP, FRAMING_LINE, 0);
}

/*
 * The same of a stream with larger buffers, whose client reads nothing until
 * the server can send no more, and then by larger and larger pieces.
 */
START_TEST(a_slow_reader_of_a_bulk_loses_nothing)
{
	static struct exchange exchange;
	static struct bulk bulk;
	size_t piece = 1;
	bool reads = false;
	struct conn *conn = open_bulk(&bulk);

	compose_lines(&exchange, 1 + 9 * _i);
	while (!is_all_answered(&exchange, conn)) {
		send_more(&exchange, conn);
		reads |= conn->want == CONN_WANT_WRITE ||
		         conn->bytes_in == sizeof(exchange.sent);
		if (reads)
			read_more(&exchange, piece += 97);
	}
	expect_stamped_lines(exchange.got, exchange.got_len);
	expect_all_back(&exchange, conn);
	io.loan.bulk = NULL;
	conn_close(conn, &counters, CLOSE_CLIENT, 1);
}
END_TEST

/* Input that cannot be answered stays in the kernel. */
START_TEST(a_bulk_takes_no_more_than_may_be_kept)
{
	static char lines[BULK_IN];
	static struct bulk bulk;
	int unread, small = 4096;
	struct conn *conn = open_bulk(&bulk);

	setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	memset(lines, '\n', sizeof(lines));
	send(client, lines, sizeof(lines), 0);
	while (conn->want != CONN_WANT_WRITE) {
		conn->want = conn_ready(conn, &io);
		ck_assert_int_ne(conn->want, CONN_WANT_CLOSE);
		ck_assert_uint_le(kept_bytes(conn), CONN_KEPT_MAX);
	}
	ck_assert_uint_gt(kept_bytes(conn), 0);
	ck_assert_int_eq(ioctl(conn->fd, SIOCINQ, &unread), 0);
	ck_assert_int_gt(unread, 0);
	ck_assert_uint_eq(conn->bytes_in, conn->messages);
	ck_assert_uint_eq(conn->bytes_out + kept_bytes(conn),
	    28 * conn->messages);
	io.loan.bulk = NULL;
	conn_close(conn, &counters, CLOSE_CLIENT, 1);
	close(client);
}
END_TEST

/* Each look is at what came since the last one. */
START_TEST(progress_is_what_the_client_takes)
{
	enum protocol protocol = _i == 0 ? PROTOCOL_UNIX
	                                 : PROTOCOL_UNIX_SEQPACKET;
	struct conn *conn = open_conn(protocol, FRAMING_CHUNK);
	static char data[60000];

	while (conn->want != CONN_WANT_WRITE) {
		send(client, data, sizeof(data), 0);
		conn->want = conn_ready(conn, &io);
	}
	for (int i = 0; i < 2; i++) {
		ck_assert(conn_progress(conn) == 0);
		ck_assert_uint_gt(read_some(data, sizeof(data)), 36 << 10);
		ck_assert(conn_progress(conn) > 0);
	}
	ck_assert(conn_progress(conn) == 0);
	close(conn->fd);
	ck_assert(conn_progress(conn) == 0);
	conn_close(conn, &counters, CLOSE_SEND_TIMEOUT, 1);
	close(client);
}
END_TEST

START_TEST(a_reset_ends_the_connection)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX, FRAMING_CHUNK);

	ck_assert_int_eq(send(client, "hello", 5, 0), 5);
	close(client);
	ck_assert_int_eq(run(conn), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_ERROR);
	conn_close(conn, &counters, conn->close_reason, 1);
}
END_TEST

START_TEST(after_finish_only_the_end_of_the_client_counts)
{
	struct conn *conn = open_conn(PROTOCOL_UNIX, FRAMING_LINE);
	char reply[64];

	ck_assert_int_eq(send(client, "last", 4, 0), 4);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_READ);
	ck_assert_uint_eq(read_some(reply, sizeof(reply)), 31);
	conn->want = conn_finish(conn);
	ck_assert_int_eq(conn->want, CONN_WANT_LINGER);
	ck_assert_int_eq(recv(client, reply, 1, 0), 0);
	ck_assert_int_eq(send(client, "too late", 8, 0), 8);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_LINGER);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_LINGER);
	close(client);
	ck_assert_int_eq(conn_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_STOP);
	conn_close(conn, &counters, conn->close_reason, 1);
}
END_TEST

START_TEST(sendall_sends_all)
{
	int ends[2];
	static char data[1 << 20];
	size_t sent, again;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(sendall(ends[0], "abc", 3, &sent), 0);
	ck_assert_uint_eq(sent, 3);
	ck_assert_int_eq(sendall(ends[0], "", 0, &sent), 0);

	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	ck_assert_int_eq(sendall(ends[0], data, sizeof(data), &sent), -1);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_gt(sent, 0);
	ck_assert_uint_lt(sent, sizeof(data));
	ck_assert_int_eq(sendall(ends[0], data, 1, &again), -1);
	ck_assert_uint_eq(again, 0);

	close(ends[1]);
	ck_assert_int_eq(sendall(ends[0], data, 1, &sent), -1);
	ck_assert_int_eq(errno, EPIPE);
	close(ends[0]);
}
END_TEST

Suite *
conn_suite(void)
{
	Suite *suite = suite_create("conn");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_message_is_answered);
	tcase_add_test(tests, an_empty_record_is_a_message_the_end_is_not);
	tcase_add_test(tests, a_record_too_long_to_answer_ends_the_connection);
	tcase_add_test(tests, descriptors_that_come_along_are_closed);
	tcase_add_loop_test(tests, a_slow_reader_loses_nothing, 0, 5);
	tcase_add_loop_test(tests, a_slow_reader_of_a_bulk_loses_nothing, 0, 4);
	tcase_add_test(tests, a_bulk_takes_no_more_than_may_be_kept);
	tcase_add_loop_test(tests, progress_is_what_the_client_takes, 0, 2);
	tcase_add_test(tests, a_reset_ends_the_connection);
	tcase_add_test(tests, after_finish_only_the_end_of_the_client_counts);
	tcase_add_test(tests, sendall_sends_all);
	suite_add_tcase(suite, tests);
	return suite;
}
