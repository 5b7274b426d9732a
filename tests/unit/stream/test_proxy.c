#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/caught.h"
#include "stream/proxy.h"
#include "unit/suites.h"

#define V1 "PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\r\n"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V2 SIGNATURE "\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\1\x1f\x90\0\7"
#define LOCAL SIGNATURE "\x20\0\0\7\3\0\4\xa9\xb8\x7e\x8f"

struct text {
	const char *bytes;
	size_t len;
};
#define TEXT(literal)                                                          \
	{                                                                      \
		literal, sizeof(literal) - 1                                   \
	}
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static struct conn_io io;
static struct sources sources;
static struct access *lists;
static int client;

/* A connection over a Unix socket, whose header is due. */
static struct conn *
open_conn(enum proxy_due due)
{
	struct proxy proxy = {
		.due = due,
		.access = lists,
		.sources = &sources,
		.source_max = 2,
	};
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     ends),
	    0);
	client = ends[1];
	struct conn *conn = conn_new(ends[0], PROTOCOL_UNIX, FRAMING_CHUNK, 0);
	ck_assert_int_eq(proxy_attach(conn, &proxy), 0);
	ck_assert_int_eq(conn->want, CONN_WANT_HEADER);
	return conn;
}

static void
finish(struct conn *conn)
{
	conn_free(conn);
	close(client);
}

static void
client_sends(const char *bytes, size_t len)
{
	ck_assert_int_eq(send(client, bytes, len, 0), (ssize_t)len);
}

static void
assert_left(const struct conn *conn, const char *text)
{
	char data[64] = "";

	ck_assert_int_eq(recv(conn->fd, data, sizeof(data) - 1, 0),
	    (ssize_t)strlen(text));
	ck_assert_str_eq(data, text);
}

static const struct {
	struct text header;
	bool is_named;
} whole[] = {
	{ TEXT(V1), true },
	{ TEXT(V2), true },
	{ TEXT("PROXY UNKNOWN\r\n"), false },
	{ TEXT(LOCAL), false },
};

static void
read_in_two(struct text header, size_t cut, enum proxy_due due, bool is_named)
{
	struct conn *conn = open_conn(due);
	char text[SOCKADDR_TEXT_MAX];

	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_HEADER);
	if (cut > 0) {
		client_sends(header.bytes, cut);
		conn->want = proxy_ready(conn, &io);
		ck_assert_int_eq(conn->want, CONN_WANT_REST);
		ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_REST);
	}
	client_sends(header.bytes + cut, header.len - cut);
	client_sends("data", 4);
	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_READ);
	assert_left(conn, "data");
	proxy_client_text(conn, text, sizeof(text));
	if (is_named) {
		ck_assert_str_eq(text, "192.0.2.7:8080");
		ck_assert_int_eq(*conn->source_count, 1);
	} else {
		ck_assert_mem_eq(text, "pid ", 4);
		ck_assert_ptr_null(conn->proxy);
		ck_assert_ptr_null(conn->source_count);
	}
	finish(conn);
}

START_TEST(the_rest_is_awaited_at_every_byte)
{
	struct text header = whole[_i].header;

	for (size_t cut = 0; cut < header.len; cut++) {
		read_in_two(header, cut, PROXY_NEEDED, whole[_i].is_named);
		read_in_two(header, cut, PROXY_MAYBE, whole[_i].is_named);
	}
}
END_TEST

static const struct {
	enum proxy_due due;
	struct text text;
	enum close_reason reason; /* CLOSE_CLIENT: it is served */
} late[] = {
	{ PROXY_NEEDED, TEXT(""), CLOSE_PROXY },
	{ PROXY_NEEDED, TEXT("P"), CLOSE_PROXY },
	{ PROXY_NEEDED, TEXT("PROXY TCP4"), CLOSE_PROXY },
	{ PROXY_MAYBE, TEXT(""), CLOSE_CLIENT },
	{ PROXY_MAYBE, TEXT("PROXY"), CLOSE_CLIENT },
	{ PROXY_MAYBE, TEXT("\r\n"), CLOSE_CLIENT },
	{ PROXY_MAYBE, TEXT("PROXY "), CLOSE_PROXY },
	{ PROXY_MAYBE, TEXT(SIGNATURE), CLOSE_PROXY },
	{ PROXY_NOT, TEXT(""), CLOSE_CLIENT },
};

/* The beginning of a signature is data, if it need not be one. */
START_TEST(what_is_late_is_decided)
{
	struct conn *conn = open_conn(late[_i].due);

	client_sends(late[_i].text.bytes, late[_i].text.len);
	enum conn_want want = proxy_expire(conn, &io);
	if (late[_i].reason == CLOSE_CLIENT) {
		ck_assert_int_eq(want, CONN_WANT_READ);
		ck_assert_ptr_null(conn->proxy);
	} else {
		ck_assert_int_eq(want, CONN_WANT_CLOSE);
		ck_assert_int_eq(conn->close_reason, late[_i].reason);
	}
	finish(conn);
}
END_TEST

/* Behind the bytes that are there no others can come. */
START_TEST(the_end_decides_at_once)
{
	struct conn *conn = open_conn(late[_i].due);

	client_sends(late[_i].text.bytes, late[_i].text.len);
	shutdown(client, SHUT_WR);
	enum conn_want want = proxy_ready(conn, &io);
	if (late[_i].text.len > 0 && late[_i].reason == CLOSE_CLIENT) {
		ck_assert_int_eq(want, CONN_WANT_READ);
	} else {
		ck_assert_int_eq(want, CONN_WANT_CLOSE);
		ck_assert_int_eq(conn->close_reason,
		    late[_i].text.len > 0 ? late[_i].reason : CLOSE_CLIENT);
	}
	finish(conn);
}
END_TEST

/* The lines that the log has of a connection whose header is not valid. */
static int
count_warnings(enum proxy_due due)
{
	struct conn *conn = open_conn(due);

	client_sends("PROXY \n", 7);
	caught_begin();
	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_CLOSE);
	int lines = caught_lines();
	caught_end();
	finish(conn);
	return lines;
}

/* Clients cause the line: it comes once a minute at most. */
START_TEST(a_header_that_is_not_valid_is_warned_of_once_a_minute)
{
	sources.header_warned_ms = 0;
	/* This one is counted apart, and warned of elsewhere. */
	ck_assert_int_eq(count_warnings(PROXY_NOT), 0);
	ck_assert_int_eq(count_warnings(PROXY_NEEDED), 1);
	ck_assert_int_eq(count_warnings(PROXY_MAYBE), 0);
	/* The time of another thread, which looked at the clock later. */
	sources.header_warned_ms = clock_ms() + 1000;
	ck_assert_int_eq(count_warnings(PROXY_NEEDED), 0);
	sources.header_warned_ms = clock_ms() - 60000;
	ck_assert_int_eq(count_warnings(PROXY_MAYBE), 1);
	ck_assert_int_eq(count_warnings(PROXY_NEEDED), 0);
}
END_TEST

/* Whoever must not send a header is not kept waiting for the rest of one. */
START_TEST(the_unbelieved_are_served_at_once)
{
	struct conn *conn = open_conn(PROXY_NOT);

	client_sends("PROXY", 5);
	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_READ);
	assert_left(conn, "PROXY");
	ck_assert_ptr_null(conn->proxy);
	finish(conn);
	for (int i = 0; i < 2; i++) {
		conn = open_conn(PROXY_NOT);
		client_sends(i == 0 ? V1 : SIGNATURE, 12);
		ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_CLOSE);
		ck_assert_int_eq(conn->close_reason, CLOSE_PROXY_FROM);
		finish(conn);
	}
}
END_TEST

START_TEST(the_named_client_is_counted)
{
	struct conn *conns[3];
	int clients[3];

	for (int i = 0; i < 3; i++) {
		conns[i] = open_conn(PROXY_NEEDED);
		clients[i] = client;
		client_sends(V2, sizeof(V2) - 1);
		ck_assert_int_eq(proxy_ready(conns[i], &io),
		    i < 2 ? CONN_WANT_READ : CONN_WANT_CLOSE);
	}
	ck_assert_int_eq(conns[2]->close_reason, CLOSE_ADDRESS);
	ck_assert_int_eq(*conns[0]->source_count, 2);
	for (int i = 0; i < 3; i++) {
		conn_free(conns[i]);
		close(clients[i]);
	}
	read_in_two((struct text)TEXT(V1), 1, PROXY_MAYBE, true);
}
END_TEST

/* Those of the client, not of its balancer, whose own checks are served. */
START_TEST(lists_are_of_the_named_client)
{
	struct prefix_entry entry = { .value = false };
	char why[PREFIX_WHY_MAX];

	prefix_parse("192.0.2.0/24", &entry.prefix, why);
	lists = access_new(&entry, 1, NULL);
	struct conn *conn = open_conn(PROXY_NEEDED);
	client_sends(V2, sizeof(V2) - 1);
	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_DENIED);
	ck_assert_ptr_null(conn->source_count);
	finish(conn);
	read_in_two(whole[3].header, 0, PROXY_NEEDED, false);
	access_release(lists);
	/* Who is not named by 198.51.100.0/24 is denied, too. */
	prefix_parse("198.51.100.0/24", &entry.prefix, why);
	entry.value = true;
	lists = access_new(&entry, 1, NULL);
	conn = open_conn(PROXY_MAYBE);
	client_sends(V1, sizeof(V1) - 1);
	ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_CLOSE);
	ck_assert_int_eq(conn->close_reason, CLOSE_DENIED);
	finish(conn);
	access_release(lists);
	lists = NULL;
}
END_TEST

/* A connection may outlive many reloads, and must not keep what they replace. */
START_TEST(the_lists_are_not_kept)
{
	static const struct text headers[] = { TEXT(V1), TEXT(V2),
		TEXT("hello") };
	struct prefix_entry entry = { .value = false };
	char why[PREFIX_WHY_MAX];

	prefix_parse("198.51.100.0/24", &entry.prefix, why);
	lists = access_new(&entry, 1, NULL);
	for (int i = 0; i < COUNT(headers); i++) {
		struct conn *conn = open_conn(PROXY_MAYBE);
		ck_assert_ptr_eq(conn->proxy->access, lists);
		client_sends(headers[i].bytes, headers[i].len);
		ck_assert_int_eq(proxy_ready(conn, &io), CONN_WANT_READ);
		if (conn->proxy != NULL)
			ck_assert_ptr_null(conn->proxy->access);
		finish(conn);
	}
	access_release(lists);
	lists = NULL;
}
END_TEST

START_TEST(some_addresses_are_believed)
{
	struct listener_config listener = {
		.protocol = PROTOCOL_TCP,
		.proxy_from_count = 2,
	};
	struct sockaddr_any near = { .any.sa_family = AF_INET }, far = near;
	char why[PREFIX_WHY_MAX];

	prefix_parse("198.51.100.0/24", &listener.proxy_from[0], why);
	prefix_parse("192.0.2.0/24", &listener.proxy_from[1], why);
	inet_pton(AF_INET, "192.0.2.9", &near.in.sin_addr);
	inet_pton(AF_INET, "192.0.3.9", &far.in.sin_addr);
	ck_assert_int_eq(proxy_find_due(&listener, &near), PROXY_NONE);
	listener.proxy = PROXY_REQUIRE;
	ck_assert_int_eq(proxy_find_due(&listener, &near), PROXY_NEEDED);
	ck_assert_int_eq(proxy_find_due(&listener, &far), PROXY_NOT);
	listener.proxy = PROXY_ACCEPT;
	ck_assert_int_eq(proxy_find_due(&listener, &near), PROXY_MAYBE);
	ck_assert_int_eq(proxy_find_due(&listener, &far), PROXY_NOT);
	listener.proxy_from_count = 0;
	ck_assert_int_eq(proxy_find_due(&listener, &near), PROXY_NOT);
	listener.protocol = PROTOCOL_UNIX;
	ck_assert_int_eq(proxy_find_due(&listener, &near), PROXY_MAYBE);
}
END_TEST

/* Only the test of the warning shows it. */
static void
set_up(void)
{
	sources.header_warned_ms = clock_ms();
}

static void
tear_down(void)
{
	sources_free(&sources);
}

Suite *
proxy_suite(void)
{
	Suite *suite = suite_create("proxy");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, the_rest_is_awaited_at_every_byte, 0,
	    COUNT(whole));
	tcase_add_loop_test(tests, what_is_late_is_decided, 0, COUNT(late));
	tcase_add_loop_test(tests, the_end_decides_at_once, 0, COUNT(late));
	tcase_add_test(tests,
	    a_header_that_is_not_valid_is_warned_of_once_a_minute);
	tcase_add_test(tests, the_unbelieved_are_served_at_once);
	tcase_add_test(tests, the_named_client_is_counted);
	tcase_add_test(tests, lists_are_of_the_named_client);
	tcase_add_test(tests, the_lists_are_not_kept);
	tcase_add_test(tests, some_addresses_are_believed);
	suite_add_tcase(suite, tests);
	return suite;
}
