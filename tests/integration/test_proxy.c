#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

/* The addresses of the listeners, by what they do with a header. */
#define REQUIRES "127.0.0.1"
#define ACCEPTS "127.0.0.2"
#define REFUSES "127.0.0.3" /* it requires one, and believes nobody here */
#define DOUBTS "127.0.0.4"  /* it accepts one, and believes nobody here */
#define OFF "127.0.0.5"

#define TCP(address, mode, from)                                               \
	"{ protocol = \"tcp\"; address = \"" address "\"; port = 0; "          \
	"proxy_protocol = \"" mode "\"; proxy_from = [ \"" from "\" ]; },\n"
#define HERE "127.0.0.0/8"
#define ELSEWHERE "192.0.2.1"

#define CONFIG(limits)                                                         \
	"log_level = \"debug\"; workers = 1; limits: { " limits " };\n"        \
	"listeners = (\n" TCP(REQUIRES, "require", HERE)                       \
	    TCP(ACCEPTS, "accept", HERE) TCP(REFUSES, "require", ELSEWHERE)    \
		TCP(DOUBTS, "accept", ELSEWHERE) TCP(OFF, "off",               \
		    HERE) "{ protocol = \"unix\"; path = \"%s/socket\"; "      \
			  "proxy_protocol = \"require\"; } );\n"

#define V1 "PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\r\n"
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4_BYTES "\xc0\0\2\7\xc0\0\2\1\x1f\x90\0\7"
#define V2 SIGNATURE "\x21\x11\0\x0c" TCP4_BYTES
#define V2_TCP6                                                                \
	SIGNATURE "\x21\x21\0\x24"                                             \
		  "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"                     \
		  "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x1f\x90\0\7"

struct text {
	const char *bytes;
	size_t len;
};
#define TEXT(literal)                                                          \
	{                                                                      \
		literal, sizeof(literal) - 1                                   \
	}
#define SEND(fd, literal) client_send(fd, literal, sizeof(literal) - 1)

static struct daemon server;
static char config[2048], path[128];

static void
write_config(const char *format)
{
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config), format, folder);
	snprintf(path, sizeof(path), "%s/socket", folder);
}

static void
start(const char *format)
{
	write_config(format);
	daemon_start_config(&server, config);
}

/* A new connection to the listener of this address; each send is a segment. */
static int
connect_to(const char *address)
{
	char name[32];
	int on = 1;

	snprintf(name, sizeof(name), "tcp %s", address);
	int fd = client_tcp_to(address, daemon_port(&server, name));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* It may be reset, for it may have sent what nobody reads. */
static void
expect_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	ck_assert(n == 0 || (n == -1 && errno == ECONNRESET));
	close(fd);
}

static const struct {
	struct text header;
	const char *client; /* in the log; NULL: the balancer's own address */
} good[] = {
	{ TEXT(V1), "192.0.2.7:8080" },
	{ TEXT(V2), "192.0.2.7:8080" },
	{ TEXT(V2_TCP6), "[2001:db8::7]:8080" },
	{ TEXT("PROXY TCP6 2001:db8::7 2001:db8::1 8080 7\r\n"),
	    "[2001:db8::7]:8080" },
	{ TEXT("PROXY UNKNOWN\r\n"), NULL },
	{ TEXT(SIGNATURE "\x20\0\0\0"), NULL },
	{ TEXT(SIGNATURE "\x20\0\0\7\3\0\4\xa9\xb8\x7e\x8f"), NULL },
	{ TEXT(SIGNATURE "\x20\x11\0\x0c" TCP4_BYTES), NULL },
	{ TEXT(SIGNATURE "\x21\0\0\0"), NULL },
};

/* The log shows the client, and the data behind the header are answered. */
START_TEST(a_header_names_the_client)
{
	char log[128];
	const struct text *header = &good[_i].header;
	const char *client = good[_i].client ? good[_i].client : "127.0.0.1:";

	start(CONFIG(""));
	for (int turn = 0; turn < 2; turn++) {
		int fd = connect_to(turn == 0 ? REQUIRES : ACCEPTS);
		char bytes[256];
		memcpy(bytes, header->bytes, header->len);
		memcpy(bytes + header->len, "with it", 7);
		client_send(fd, bytes, header->len + 7);
		client_expect(fd, "with it", 7);
		snprintf(log, sizeof(log), " from %s", client);
		daemon_await(&server, log);
		client_talk(fd, "after it");
		/* From here on it is data. */
		client_send(fd, header->bytes, header->len);
		client_expect(fd, header->bytes, header->len);
		shutdown(fd, SHUT_WR);
		client_expect_end(fd);
		close(fd);
		daemon_await(&server,
		    ": closed, the client closed: 3 messages");
	}
	daemon_stop(&server);
}
END_TEST

START_TEST(a_header_comes_in_any_pieces)
{
	const struct text *header = &good[_i].header;

	start(CONFIG(""));
	for (int turn = 0; turn < 2; turn++) {
		int fd = connect_to(turn == 0 ? REQUIRES : ACCEPTS);
		for (size_t i = 0; i < header->len; i++)
			client_send(fd, header->bytes + i, 1);
		client_talk(fd, "hello");
		close(fd);
	}
	daemon_stop(&server);
}
END_TEST

START_TEST(a_unix_listener_believes_whoever_may_connect)
{
	static const char header[16 + 216] = SIGNATURE
	    "\x21\x31\0\xd8/run/client\n";

	start(CONFIG(""));
	int fd = client_unix(path, SOCK_STREAM);
	client_send(fd, header, sizeof(header));
	client_talk(fd, "hello");
	daemon_await(&server, " from /run/client\\x0a: open");
	close(fd);
	fd = client_unix(path, SOCK_STREAM);
	SEND(fd, SIGNATURE "\x20\0\0\0");
	client_talk(fd, "hello");
	daemon_await(&server, " uid ");
	close(fd);
	fd = client_unix(path, SOCK_STREAM);
	SEND(fd, "hello");
	expect_closed(fd);
	daemon_await(&server, "connections without a valid PROXY header are");
	daemon_await_counter(&server, "closed_proxy", 1);
	daemon_stop(&server);
}
END_TEST

static const struct text bad[] = {
	TEXT("PROXY TCP5 192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 65536\r\n"),
	/* Another version, command, family. */
	TEXT(SIGNATURE "\x11\x11\0\x0c" TCP4_BYTES),
	TEXT(SIGNATURE "\x22\x11\0\x0c" TCP4_BYTES),
	TEXT(SIGNATURE "\x21\x41\0\x0c" TCP4_BYTES),
	/* Oversize; too short for its addresses; a wrong checksum. */
	TEXT(SIGNATURE "\x21\x11\xff\xff" TCP4_BYTES),
	TEXT(SIGNATURE "\x21\x21\0\x0c" TCP4_BYTES),
	TEXT(SIGNATURE "\x20\0\0\7\3\0\4\xa9\xb8\x7e\x8e"),
};
#define BAD (sizeof(bad) / sizeof(bad[0]))

START_TEST(a_bad_header_closes)
{
	static char oversize[200] = "PROXY TCP4 ";

	memset(oversize + 11, '1', sizeof(oversize) - 11);
	start(CONFIG(""));
	for (size_t i = 0; i < 2 * BAD; i++) {
		int fd = connect_to(i % 2 == 0 ? REQUIRES : ACCEPTS);
		client_send(fd, bad[i / 2].bytes, bad[i / 2].len);
		expect_closed(fd);
		daemon_await(&server, "closed, no valid PROXY header");
	}
	int fd = connect_to(REQUIRES);
	client_send(fd, oversize, sizeof(oversize));
	expect_closed(fd);
	daemon_await_counter(&server, "closed_proxy", 2 * BAD + 1);
	/* What they sent does not get into the log. */
	ck_assert_ptr_null(strstr(server.log, "TCP5"));
	daemon_stop(&server);
}
END_TEST

/* Without a byte it is a client that has ended, as any. */
START_TEST(a_header_that_is_cut_off_closes)
{
	static const struct text headers[] = { TEXT(V1), TEXT(V2) };
	const struct text *header = &headers[_i];
	char reply[64];

	start(CONFIG(""));
	for (size_t len = 0; len < header->len; len++) {
		int fd = connect_to(REQUIRES);
		client_send(fd, header->bytes, len);
		shutdown(fd, SHUT_WR);
		expect_closed(fd);
	}
	daemon_await_counter(&server, "closed_proxy", header->len - 1);
	daemon_await_counter(&server, "closed_client", 1);
	/* Where none is required the beginning of a signature is data. */
	size_t signature = _i == 0 ? 6 : 12;
	for (size_t len = 0; len < header->len; len++) {
		int fd = connect_to(ACCEPTS);
		client_send(fd, header->bytes, len);
		shutdown(fd, SHUT_WR);
		if (len > 0 && len < signature)
			client_assert_reply(reply,
			    client_read_end(fd, reply, sizeof(reply)),
			    header->bytes, len);
		else
			expect_closed(fd);
		if (len > 0 && len < signature)
			close(fd);
	}
	daemon_await_counter(&server, "closed_proxy",
	    header->len - 1 + header->len - signature);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_header_that_is_required_must_come)
{
	static const struct text others[] = { TEXT("hello"), TEXT("\r\n\r\n\n"),
		TEXT("PROXY\n"), TEXT("\0") };

	start(CONFIG(""));
	for (size_t i = 0; i < 4; i++) {
		int fd = connect_to(REQUIRES);
		client_send(fd, others[i].bytes, others[i].len);
		expect_closed(fd);
	}
	daemon_await_counter(&server, "closed_proxy", 4);
	ck_assert_uint_eq(daemon_counter(&server, "tcp_messages_in"), 0);
	daemon_stop(&server);
}
END_TEST

/* The first byte that no header has decides. */
START_TEST(where_one_is_accepted_data_need_none)
{
	start(CONFIG(""));
	int fd = connect_to(ACCEPTS);
	client_talk(fd, "hello");
	client_send(fd, V1, strlen(V1));
	client_expect(fd, V1, strlen(V1));
	close(fd);
	fd = connect_to(ACCEPTS);
	SEND(fd, "\r\n");
	SEND(fd, "\r\n\r\n");
	client_expect(fd, "\r\n\r\n\r\n", 6);
	close(fd);
	fd = connect_to(ACCEPTS);
	client_talk(fd, "PROXIES\n");
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(where_it_is_off_a_header_is_data)
{
	start(CONFIG(""));
	int fd = connect_to(OFF);
	client_send(fd, V1, strlen(V1));
	client_expect(fd, V1, strlen(V1));
	close(fd);
	fd = connect_to(OFF);
	client_send(fd, V2, sizeof(V2) - 1);
	client_expect(fd, V2, sizeof(V2) - 1);
	daemon_await(&server, " from 127.0.0.1:");
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* Who is not in proxy_from is served without a header, or not at all. */
START_TEST(a_header_is_believed_from_few)
{
	start(CONFIG(""));
	int fd = connect_to(REFUSES);
	expect_closed(fd);
	daemon_await(&server, "are not in proxy_from are closed");
	daemon_await(&server, "closed: it is not in proxy_from");
	daemon_await_counter(&server, "closed_proxy_from", 1);

	fd = connect_to(DOUBTS);
	client_talk(fd, "hello");
	close(fd);
	fd = connect_to(DOUBTS);
	client_talk(fd, "\r\n");
	close(fd);
	fd = connect_to(DOUBTS);
	client_send(fd, V1, strlen(V1));
	expect_closed(fd);
	fd = connect_to(DOUBTS);
	client_send(fd, V2, sizeof(V2) - 1);
	expect_closed(fd);
	daemon_await_counter(&server, "closed_proxy_from", 3);
	ck_assert_ptr_null(strstr(server.log, "192.0.2.7"));
	ck_assert_uint_eq(daemon_counter(&server, "closed_proxy"), 0);
	daemon_stop(&server);
}
END_TEST

static int
connect_as(const char *address, const char *ip)
{
	char header[128];
	int fd = connect_to(address);

	snprintf(header, sizeof(header), "PROXY TCP4 %s 192.0.2.1 1 7\r\n", ip);
	client_send(fd, header, strlen(header));
	return fd;
}

#define TWO "max_connections_per_address = 2;"

START_TEST(limits_are_of_the_client)
{
	int fds[3];

	start(CONFIG(TWO));
	for (int i = 0; i < 2; i++)
		client_talk(fds[i] = connect_as(REQUIRES, "192.0.2.7"), "one");
	client_talk(fds[2] = connect_as(REQUIRES, "192.0.2.8"), "other");
	expect_closed(connect_as(ACCEPTS, "192.0.2.7"));
	daemon_await(&server,
	    "an address has max_connections_per_address (2) connections open");
	daemon_await(&server,
	    " from 192.0.2.7:1: closed, max_connections_per_address are open");
	daemon_await_counter(&server, "closed_address", 1);
	/* Checks of the balancer's own, over loopback, are not limited. */
	for (int i = 0; i < 5; i++) {
		int fd = connect_to(REQUIRES);
		SEND(fd, "PROXY UNKNOWN\r\n");
		client_talk(fd, "check");
	}
	close(fds[0]);
	daemon_await_counter(&server, "closed_client", 1);
	client_talk(fds[0] = connect_as(ACCEPTS, "192.0.2.7"), "again");
	daemon_stop(&server);
}
END_TEST

#define LISTS                                                                  \
	"log_level = \"debug\"; workers = 1;\n"                                \
	"deny = [ \"192.0.2.6\" ];\n"                                          \
	"listeners = ( { protocol = \"tcp\"; address = \"" REQUIRES            \
	"\"; port = 0; proxy_protocol = \"require\"; "                         \
	"proxy_from = [ \"127.0.0.1\" ]; "                                     \
	"allow = [ \"192.0.2.0/29\" ]; },\n" TCP(ACCEPTS, "accept",            \
	    HERE) "{ protocol = \"unix\"; path = \"%s/socket\"; } );\n"

/* Also over a restart while the header is awaited. */
START_TEST(lists_are_of_the_client)
{
	int fds[4];

	write_config(LISTS);
	manager_open(100);
	setenv("FDSTORE", "100", 1);
	manager_start(&server, config);
	client_talk(connect_as(REQUIRES, "192.0.2.5"), "listed");
	client_talk(connect_as(ACCEPTS, "192.0.2.9"), "listed");
	expect_closed(connect_as(REQUIRES, "192.0.2.6"));
	daemon_await(&server, " from 192.0.2.6:1: closed, denied by the lists");
	expect_closed(connect_as(REQUIRES, "192.0.2.9"));
	expect_closed(connect_as(ACCEPTS, "192.0.2.6"));
	daemon_await_counter(&server, "closed_denied", 3);
	/* A check of the balancer's own is served. */
	int fd = connect_to(REQUIRES);
	SEND(fd, "PROXY UNKNOWN\r\n");
	client_talk(fd, "check");
	for (int i = 0; i < 4; i++)
		fds[i] = connect_to(i < 2 ? REQUIRES : ACCEPTS);
	daemon_await_counter(&server, "accepted", 10);
	manager_end(&server);
	manager_start(&server, config);
	for (int i = 0; i < 4; i++)
		client_send(fds[i],
		    i % 2 == 0 ? "PROXY TCP4 192.0.2.9 192.0.2.1 1 7\r\n"
			       : "PROXY TCP4 192.0.2.6 192.0.2.1 1 7\r\n",
		    36);
	expect_closed(fds[0]);
	expect_closed(fds[1]);
	client_talk(fds[2], "hello");
	expect_closed(fds[3]);
	daemon_await_counter(&server, "closed_denied", 3);
	daemon_stop(&server);
}
END_TEST

/* It waits for five seconds, which are not those of idle_timeout. */
START_TEST(a_late_header_closes)
{
	char log[64];

	start(CONFIG("idle_timeout = 0;"));
	int silent = connect_to(REQUIRES), part = connect_to(REQUIRES);
	int maybe = connect_to(ACCEPTS), direct = connect_to(ACCEPTS);
	int cut = connect_to(ACCEPTS), doubt = connect_to(DOUBTS);
	client_send(part, V1, 7);
	client_send(cut, V2, 12);
	SEND(maybe, "PROX");
	/* No header: these are data. */
	client_expect(maybe, "PROX", 4);
	/* Whoever was silent has none, and was silent for longer than the last. */
	snprintf(log, sizeof(log), "tcp " DOUBTS ":%d from ",
	    daemon_port(&server, "tcp " DOUBTS));
	daemon_await(&server, log);
	client_send(direct, V1, strlen(V1));
	client_expect(direct, V1, strlen(V1));
	client_send(doubt, V1, strlen(V1));
	client_expect(doubt, V1, strlen(V1));
	expect_closed(silent);
	expect_closed(part);
	expect_closed(cut);
	daemon_await_counter(&server, "closed_proxy", 3);
	daemon_stop(&server);
}
END_TEST

/* A stop doesn't wait for a header. */
START_TEST(a_header_that_is_awaited_delays_no_stop)
{
	start(CONFIG("drain_timeout = 60;"));
	int silent = connect_to(REQUIRES), part = connect_to(REQUIRES);
	int maybe = connect_to(ACCEPTS), last = connect_to(ACCEPTS);
	client_send(part, V1, 7);
	SEND(maybe, "PROX");
	client_talk(last, "hello");
	daemon_signal(&server, SIGTERM);
	client_expect_end(silent);
	expect_closed(part);
	expect_closed(maybe);
	client_expect_end(last);
	close(silent);
	close(last);
	daemon_finish(&server);
}
END_TEST

START_TEST(a_reload_concerns_new_clients)
{
	char *mode;

	start(CONFIG(""));
	int waits = connect_to(REQUIRES), begun = connect_to(REQUIRES);
	client_send(begun, V1, 7);
	daemon_await_counter(&server, "accepted", 2);
	for (mode = config; (mode = strstr(mode, "\"require\"")) != NULL;)
		memcpy(mode, "\"off\"    ", 9);
	daemon_reload(&server, config, "reloaded");
	int fd = connect_to(REQUIRES);
	client_send(fd, V1, strlen(V1));
	client_expect(fd, V1, strlen(V1));
	client_send(waits, V1, strlen(V1));
	client_talk(waits, "hello");
	client_send(begun, &V1[7], strlen(V1) - 7);
	client_talk(begun, "hello");
	daemon_stop(&server);
}
END_TEST

/* Also that a header is to come, or the rest of it. */
START_TEST(a_restart_keeps_the_client)
{
	int fds[3], parts[2];
	static const struct text headers[] = { TEXT(V1), TEXT(V2) };

	write_config(CONFIG(TWO));
	manager_open(100);
	setenv("FDSTORE", "100", 1);
	manager_start(&server, config);
	for (int i = 0; i < 2; i++)
		client_talk(fds[i] = connect_as(REQUIRES, "192.0.2.9"), "one");
	int six = connect_to(ACCEPTS);
	client_send(six, V2_TCP6, sizeof(V2_TCP6) - 1);
	client_talk(six, "hello");
	int path_client = client_unix(path, SOCK_STREAM);
	static const char named[16 + 216] = SIGNATURE "\x21\x31\0\xd8/client";
	client_send(path_client, named, sizeof(named));
	client_talk(path_client, "hello");
	int silent = connect_to(REQUIRES), direct = connect_to(ACCEPTS);
	int doubted = connect_to(DOUBTS), bad_one = connect_to(REQUIRES);
	for (int i = 0; i < 2; i++) {
		parts[i] = connect_to(i == 0 ? REQUIRES : ACCEPTS);
		client_send(parts[i], headers[i].bytes, 17);
	}
	daemon_await_counter(&server, "accepted", 10);
	manager_end(&server);
	manager_start(&server, config);
	ck_assert_ptr_null(strstr(server.log, "without a state"));
	daemon_await_counter(&server, "taken_over", 10);
	client_talk(fds[0], "still here");
	client_talk(six, "still here");
	client_talk(path_client, "still here");
	daemon_counter(&server, "open");
	ck_assert_ptr_nonnull(strstr(server.log, " from 192.0.2.9:1: taken"));
	ck_assert_ptr_nonnull(strstr(server.log, " from [2001:db8::7]:8080"));
	for (int i = 0; i < 2; i++) {
		client_talk(fds[i], "still here");
		client_send(parts[i], headers[i].bytes + 17,
		    headers[i].len - 17);
		client_talk(parts[i], "hello");
		daemon_await(&server, " from 192.0.2.7:8080: taken over");
	}
	expect_closed(connect_as(REQUIRES, "192.0.2.9"));
	expect_closed(connect_as(REQUIRES, "192.0.2.7"));
	daemon_await_counter(&server, "closed_address", 2);
	SEND(bad_one, "hello");
	expect_closed(bad_one);
	client_talk(direct, "hello");
	client_send(doubted, V1, strlen(V1));
	expect_closed(doubted);
	daemon_await_counter(&server, "closed_proxy_from", 1);
	client_send(silent, V2_TCP6, sizeof(V2_TCP6) - 1);
	client_talk(silent, "hello");
	daemon_stop(&server);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *
proxy_suite(void)
{
	Suite *suite = suite_create("proxy");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, a_header_names_the_client, 0, COUNT(good));
	tcase_add_loop_test(tests, a_header_comes_in_any_pieces, 0,
	    COUNT(good));
	tcase_add_test(tests, a_unix_listener_believes_whoever_may_connect);
	tcase_add_test(tests, a_bad_header_closes);
	tcase_add_loop_test(tests, a_header_that_is_cut_off_closes, 0, 2);
	tcase_add_test(tests, a_header_that_is_required_must_come);
	tcase_add_test(tests, where_one_is_accepted_data_need_none);
	tcase_add_test(tests, where_it_is_off_a_header_is_data);
	tcase_add_test(tests, a_header_is_believed_from_few);
	tcase_add_test(tests, limits_are_of_the_client);
	tcase_add_test(tests, lists_are_of_the_client);
	tcase_add_test(tests, a_late_header_closes);
	tcase_add_test(tests, a_header_that_is_awaited_delays_no_stop);
	tcase_add_test(tests, a_reload_concerns_new_clients);
	tcase_add_test(tests, a_restart_keeps_the_client);
	suite_add_tcase(suite, tests);
	return suite;
}
