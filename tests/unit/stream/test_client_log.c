#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "harness/caught.h"
#include "stream/client_log.h"
#include "unit/suites.h"

static struct client_log client_log;
static _Atomic uint64_t last_number;
static int client;

static void
start(void)
{
	caught_begin();
	log_set_level(LOG_INFO);
	client_log_init(&client_log, 60, &last_number);
	client_log.is_on = true;
}

static void
finish(void)
{
	caught_end();
	close(client);
	log_set_level(LOG_INFO);
}

static int
count_lines(const char *text)
{
	int count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static struct conn *
open_conn(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	close(client);
	client = ends[1];
	return conn_new(ends[0], PROTOCOL_UNIX, FRAMING_CHUNK, 1000);
}

static void
assert_has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "%s: %s", part, text);
}

START_TEST(says_what_a_connection_had)
{
	struct conn *conn = open_conn();
	char peer[64];

	snprintf(peer, sizeof(peer), "from pid %d uid %u: open\n", getpid(),
	    getuid());
	client_log_open(&client_log, conn, 1000);
	const char *text = caught_text();
	assert_has(text, " info: unix ");
	assert_has(text, peer);
	client_log_open(&client_log, conn, 1000);
	ck_assert_str_eq(caught_text(), "");
	conn->messages = 3;
	conn->bytes_in = 15;
	conn->bytes_out = 96;
	client_log_close(&client_log, conn, CLOSE_IDLE, 3042);
	text = caught_text();
	assert_has(text, " info: unix ");
	assert_has(text,
	    ": closed, idle: 3 messages, 15 bytes in, 96 bytes out, 2.042 s\n");
	client_log_close(&client_log, conn, CLOSE_IDLE, 3042);
	ck_assert_str_eq(caught_text(), "");
	conn_free(conn);
}
END_TEST

START_TEST(says_that_one_goes_to_another_process)
{
	struct conn *conn = open_conn();

	conn->restored = true;
	client_log_open(&client_log, conn, 1000);
	assert_has(caught_text(), ": taken over\n");
	client_log_hand_over(&client_log, conn, 1000);
	assert_has(caught_text(), ": handed over: 0 messages, ");
	ck_assert_ptr_null(conn->name);
	conn_free(conn);
}
END_TEST

/* One that is not logged is not named, and costs no memory. */
START_TEST(is_silent_when_off)
{
	struct conn *conn = open_conn();

	client_log.is_on = false;
	client_log_open(&client_log, conn, 1000);
	ck_assert_ptr_null(conn->name);
	client_log_close(&client_log, conn, CLOSE_CLIENT, 2000);
	ck_assert_str_eq(caught_text(), "");
	ck_assert_uint_eq(client_log_due_ms(&client_log), UINT64_MAX);
	conn_free(conn);
}
END_TEST

START_TEST(leaves_lines_out_and_counts_them)
{
	struct conn *conns[5];
	const char *text;

	for (int i = 0; i < 5; i++) {
		conns[i] = open_conn();
		client_log_open(&client_log, conns[i], 5000);
	}
	ck_assert_int_eq(caught_lines(), 3);
	ck_assert_uint_eq(client_log_due_ms(&client_log), 6000);
	/* One whose opening was left out is named at its end. */
	client_log_close(&client_log, conns[4], CLOSE_CLIENT, 5999);
	ck_assert_str_eq(caught_text(), "");
	client_log_flush(&client_log, 5999);
	ck_assert_str_eq(caught_text(), "");
	client_log_close(&client_log, conns[3], CLOSE_CLIENT, 6000);
	text = caught_text();
	assert_has(text, " info: 3 lines about connections are left out: this "
			 "thread writes at most 3 a second\n");
	assert_has(text, ": closed, the client closed: ");
	ck_assert_int_eq(count_lines(text), 2);
	client_log_close(&client_log, conns[2], CLOSE_CLIENT, 6001);
	client_log_close(&client_log, conns[1], CLOSE_CLIENT, 6002);
	ck_assert_int_eq(caught_lines(), 2);
	ck_assert_uint_eq(client_log_due_ms(&client_log), UINT64_MAX);
	client_log_close(&client_log, conns[0], CLOSE_CLIENT, 6003);
	client_log_flush(&client_log, 7000);
	assert_has(caught_text(), ": 1 lines about connections");
	client_log_flush(&client_log, 8000);
	ck_assert_str_eq(caught_text(), "");
	for (int i = 0; i < 5; i++)
		conn_free(conns[i]);
}
END_TEST

/* Then each is shown anyway. */
START_TEST(leaves_nothing_out_at_debug)
{
	struct conn *conns[5];

	log_set_level(LOG_DEBUG);
	client_log.is_on = _i;
	for (int i = 0; i < 5; i++) {
		conns[i] = open_conn();
		client_log_open(&client_log, conns[i], 5000);
	}
	for (int i = 0; i < 5; i++)
		client_log_close(&client_log, conns[i], CLOSE_CLIENT, 5000);
	const char *text = caught_text();
	ck_assert_int_eq(count_lines(text), 10);
	assert_has(text, " debug: unix ");
	ck_assert_uint_eq(client_log_due_ms(&client_log), UINT64_MAX);
	for (int i = 0; i < 5; i++)
		conn_free(conns[i]);
}
END_TEST

START_TEST(closes_without_a_log_at_debug)
{
	struct counters counters = { 0 };
	struct conn *conn = open_conn();

	client_log_open(&client_log, conn, 1000);
	caught_text();
	log_set_level(LOG_DEBUG);
	conn_close(conn, &counters, CLOSE_ERROR, 1001);
	assert_has(caught_text(), ": closed, error: 0 messages, ");
}
END_TEST

Suite *
client_log_suite(void)
{
	Suite *suite = suite_create("client_log");
	TCase *tests = tcase_create("client_log");

	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_test(tests, says_what_a_connection_had);
	tcase_add_test(tests, says_that_one_goes_to_another_process);
	tcase_add_test(tests, is_silent_when_off);
	tcase_add_test(tests, leaves_lines_out_and_counts_them);
	tcase_add_loop_test(tests, leaves_nothing_out_at_debug, 0, 2);
	tcase_add_test(tests, closes_without_a_log_at_debug);
	return suite;
}
