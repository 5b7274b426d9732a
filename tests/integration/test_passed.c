#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/inet.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define DESCRIPTORS 20

static struct daemon server;

/* Passes a socket on a port of 127.0.0.1 that the kernel chooses. */
static int
pass_inet(int type, const char *name)
{
	int port;

	manager_pass(inet_server(type, &port), name);
	return port;
}

static void
pass_unix(int type, const char *path, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	if (type != SOCK_DGRAM)
		ck_assert_int_eq(listen(fd, 10), 0);
	manager_pass(fd, name);
}

static void
expect_line_framing(int fd)
{
	client_send(fd, "a\nb\n", 4);
	client_expect(fd, "a\n", 2);
	client_expect(fd, "b\n", 2);
}

static void
expect_chunk_framing(int fd)
{
	client_send(fd, "a\nb\n", 4);
	client_expect(fd, "a\nb\n", 4);
}

START_TEST(each_kind_is_served)
{
	manager_open(0);
	int tcp = pass_inet(SOCK_STREAM, "timestampd.socket");
	int udp = pass_inet(SOCK_DGRAM, "timestampd.socket");
	pass_unix(SOCK_STREAM, "stream", "timestampd.socket");
	pass_unix(SOCK_SEQPACKET, "record", "timestampd.socket");
	pass_unix(SOCK_DGRAM, "datagram", "timestampd.socket");
	/* No listener is configured, so the built-in ones are not opened. */
	manager_start(&server, "workers = 1;");
	ck_assert_ptr_null(strstr(server.log, "21567"));

	int fd = client_tcp(tcp);
	expect_chunk_framing(fd);
	close(fd);
	client_send(fd = client_udp(udp), "u", 1);
	client_expect_datagram(fd, "u", 1);
	close(fd);
	expect_chunk_framing(fd = client_unix("stream", SOCK_STREAM));
	close(fd);
	client_send(fd = client_unix("record", SOCK_SEQPACKET), "", 0);
	client_expect_datagram(fd, "", 0);
	close(fd);
	client_send(fd = client_unix("datagram", SOCK_DGRAM), "d", 1);
	client_expect_datagram(fd, "d", 1);
	close(fd);

	/* A reload keeps the passed sockets. */
	daemon_reload(&server, "workers = 1;", "reloaded");
	expect_chunk_framing(fd = client_tcp(tcp));
	close(fd);
	daemon_stop(&server);
	ck_assert_int_eq(access("stream", F_OK), 0);
	ck_assert_int_eq(access("record", F_OK), 0);
	ck_assert_int_eq(access("datagram", F_OK), 0);
}
END_TEST

/* What -T shows is the same configuration under a socket unit too. */
START_TEST(what_is_shown_opens_no_listener_either)
{
	const char *const arguments[] = { "-T", "-c", "conf", NULL };
	struct daemon shown;

	scratch_write("conf", "");
	ck_assert_int_eq(daemon_run(&shown, arguments), 0);
	manager_open(0);
	int tcp = pass_inet(SOCK_STREAM, "timestampd.socket");
	manager_start(&server, shown.log);
	ck_assert_ptr_null(strstr(server.log, "21567"));
	int fd = client_tcp(tcp);
	client_talk(fd, "hello");
	close(fd);
	free(shown.log);
	daemon_stop(&server);
}
END_TEST

START_TEST(clients_wait_for_the_next_process)
{
	manager_open(0);
	int tcp = pass_inet(SOCK_STREAM, "s");
	pass_unix(SOCK_STREAM, "stream", "s");
	manager_start(&server, "");
	daemon_stop(&server);
	int a = client_tcp(tcp), b = client_unix("stream", SOCK_STREAM);
	manager_start(&server, "");
	expect_chunk_framing(a);
	expect_chunk_framing(b);
	close(a);
	close(b);
	daemon_stop(&server);
}
END_TEST

START_TEST(records_that_wait_are_answered_like_all_others)
{
	manager_open(0);
	pass_unix(SOCK_SEQPACKET, "record", "s");
	int fd = client_unix("record", SOCK_SEQPACKET);
	client_send(fd, "", 0);
	client_send(fd, "next", 4);
	client_send_descriptor(fd, "with a descriptor");
	manager_start(&server, "workers = 1;");
	client_expect_datagram(fd, "", 0);
	client_expect_datagram(fd, "next", 4);
	client_expect_datagram(fd, "with a descriptor", 17);
	int files = daemon_open_files(&server);
	for (int i = 0; i < DESCRIPTORS; i++) {
		client_send_descriptor(fd, "another");
		client_expect_datagram(fd, "another", 7);
	}
	/* The server may have opened a few others. */
	ck_assert_int_lt(daemon_open_files(&server), files + DESCRIPTORS);
	close(fd);
	daemon_stop(&server);
}
END_TEST

static int
local_port(int fd)
{
	struct sockaddr_in address = { 0 };
	socklen_t len = sizeof(address);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

/*
 * Returns the kind of the kernel's timer for the connection between two ports
 * of this host, as /proc/net/tcp has it.
 */
static unsigned
timer(int port, int peer_port)
{
	char ends[64], line[512];
	unsigned host = htonl(INADDR_LOOPBACK);
	FILE *file = fopen("/proc/self/net/tcp", "r");
	unsigned kind = 0;

	ck_assert_ptr_nonnull(file);
	snprintf(ends, sizeof(ends), ": %08X:%04X %08X:%04X ", host,
	    (unsigned)port, host, (unsigned)peer_port);
	while (kind == 0 && fgets(line, sizeof(line), file) != NULL) {
		const char *at = strstr(line, ends);
		if (at != NULL)
			sscanf(at + strlen(ends), "%*x %*x:%*x %x:", &kind);
	}
	fclose(file);
	return kind;
}

START_TEST(connections_that_wait_are_set_up_like_all_others)
{
	enum { KEEPALIVE = 2 };

	manager_open(0);
	int port = pass_inet(SOCK_STREAM, "s");
	int early = client_tcp(port);
	manager_start(&server, "");
	int late = client_tcp(port);
	daemon_await_counter(&server, "accepted", 2);
	ck_assert_uint_eq(timer(port, local_port(late)), KEEPALIVE);
	ck_assert_uint_eq(timer(port, local_port(early)), KEEPALIVE);
	close(early);
	close(late);
	daemon_stop(&server);
}
END_TEST

START_TEST(settings_come_by_address)
{
	char config[512];

	manager_open(0);
	int configured = pass_inet(SOCK_STREAM, "s");
	int other = pass_inet(SOCK_STREAM, "s");
	int udp = pass_inet(SOCK_DGRAM, "s");
	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = %d; framing = \"line\"; },\n"
	    "{ protocol = \"udp\"; address = \"127.0.0.1\"; port = %d; "
	    "max_datagram = 2; } );\n",
	    configured, udp);
	manager_start(&server, config);
	int fd = client_tcp(configured);
	expect_line_framing(fd);
	close(fd);
	expect_chunk_framing(fd = client_tcp(other));
	close(fd);
	client_send(fd = client_udp(udp), "toolong", 7);
	client_send(fd, "ok", 2);
	client_expect_datagram(fd, "ok", 2);
	close(fd);

	/* A reload may remove the settings; the sockets stay. */
	daemon_reload(&server, "workers = 1;", "reloaded");
	expect_chunk_framing(fd = client_tcp(configured));
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* Not even if it is open already: the next start may have to open it. */
START_TEST(an_address_is_not_wanted_twice)
{
	static const char one[] =
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = %d; } );\n";
	static const char two[] =
	    "listeners = (\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = %d; },\n"
	    "{ protocol = \"tcp\"; address = \"127.000.000.001\"; port = %d; "
	    "framing = \"line\"; } );\n";
	char config[512], complaint[128];

	manager_open(0);
	int port = pass_inet(SOCK_STREAM, "any");
	snprintf(config, sizeof(config), one, port);
	manager_start(&server, config);
	snprintf(config, sizeof(config), two, port, port);
	snprintf(complaint, sizeof(complaint),
	    "conf:3: tcp 127.0.0.1:%d: is the same as the one at conf:2", port);
	daemon_reload(&server, config, complaint);
	daemon_await(&server, "reload refused");
	daemon_stop(&server);
}
END_TEST

START_TEST(configured_listeners_are_served_too)
{
	manager_open(0);
	int tcp = pass_inet(SOCK_STREAM, "s");
	manager_start(&server,
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.2\"; "
	    "port = 0; } );");
	int fd = client_tcp(tcp);
	expect_chunk_framing(fd);
	close(fd);
	expect_chunk_framing(fd = client_tcp_to("127.0.0.2",
				 daemon_port(&server, "tcp 127.0.0.2")));
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(what_is_not_a_listener_is_named_and_closed)
{
	int ends[2];

	manager_open(0);
	ck_assert_int_eq(pipe(ends), 0);
	manager_pass(ends[0], "pipe");
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	manager_pass(pair[0], "accepted");
	int tcp = pass_inet(SOCK_STREAM, "s");
	manager_start(&server, "");
	ck_assert_ptr_nonnull(strstr(server.log,
	    "error: pipe: was passed, but is not a socket that can be served"));
	ck_assert_ptr_nonnull(strstr(server.log,
	    "error: accepted: was passed, but is not a socket"));
	int fd = client_tcp(tcp);
	expect_chunk_framing(fd);
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_socket_in_the_way_is_named)
{
	char config[256];
	const char *const arguments[] = { "-c", "conf", NULL };

	manager_open(0);
	int tcp = pass_inet(SOCK_STREAM, "s");
	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"tcp\"; port = %d; } );", tcp);
	scratch_write("conf", config);
	manager_run(&server, arguments, EX_UNAVAILABLE);
	ck_assert_ptr_nonnull(
	    strstr(server.log, ", which was passed, is in the way"));
	free(server.log);
}
END_TEST

#define MAX_ONE "limits: { max_connections = 1; };\n"

/*
 * Starts a process that stores a listener at port 0 of address; after its end
 * two clients connect, which no process accepts.  Returns the port.
 */
static int
store_with_clients(const char *address, int clients[2])
{
	char config[256], name[64];

	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"tcp\"; address = \"%s\"; "
	    "port = 0; } );",
	    address);
	manager_open(20);
	manager_start(&server, config);
	snprintf(name, sizeof(name), "tcp %s", address);
	int port = daemon_port(&server, name);
	manager_await_kept(".listener", 1);
	manager_end(&server);
	for (int i = 0; i < 2; i++) {
		clients[i] = client_tcp(port);
		client_send(clients[i], "waiting", 7);
	}
	return port;
}

static void
expect_in_order(const int clients[2])
{
	for (int i = 0; i < 2; i++) {
		client_expect(clients[i], "waiting", 7);
		close(clients[i]);
	}
}

START_TEST(clients_of_a_stored_listener_that_drains_are_served)
{
	int clients[2];

	store_with_clients("127.0.0.1", clients);
	manager_start(&server,
	    MAX_ONE "listeners = ( { protocol = \"tcp\"; "
		    "address = \"127.0.0.2\"; port = 0; } );");
	ck_assert_ptr_nonnull(strstr(server.log, "no longer listening on"));
	expect_in_order(clients);
	manager_await_kept(".listener", 1);
	daemon_stop(&server);
}
END_TEST

/* The stored listener is wider or narrower than the configured one. */
START_TEST(clients_of_a_stored_listener_in_the_way_are_served)
{
	static const char *const stored[] = { "*", "127.0.0.1" };
	static const char *const wanted[] = { "127.0.0.1", "*" };
	char config[256], name[64];
	int clients[2];

	if (daemon_is_wrapped())
		return;
	int port = store_with_clients(stored[_i], clients);
	snprintf(config, sizeof(config),
	    MAX_ONE "listeners = ( { protocol = \"tcp\"; address = \"%s\"; "
		    "port = %d; } );",
	    wanted[_i], port);
	manager_start(&server, config);
	snprintf(name, sizeof(name), "tcp %s", wanted[_i]);
	ck_assert_int_eq(daemon_port(&server, name), port);
	expect_in_order(clients);
	int fd = client_tcp(port);
	client_talk(fd, "new");
	close(fd);
	daemon_stop(&server);
}
END_TEST

Suite *
passed_suite(void)
{
	Suite *suite = suite_create("passed");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, each_kind_is_served);
	tcase_add_test(tests, what_is_shown_opens_no_listener_either);
	tcase_add_test(tests, clients_wait_for_the_next_process);
	tcase_add_test(tests, records_that_wait_are_answered_like_all_others);
	tcase_add_test(tests, connections_that_wait_are_set_up_like_all_others);
	tcase_add_test(tests, settings_come_by_address);
	tcase_add_test(tests, an_address_is_not_wanted_twice);
	tcase_add_test(tests, configured_listeners_are_served_too);
	tcase_add_test(tests, what_is_not_a_listener_is_named_and_closed);
	tcase_add_test(tests, a_socket_in_the_way_is_named);
	tcase_add_test(tests,
	    clients_of_a_stored_listener_that_drains_are_served);
	tcase_add_loop_test(tests,
	    clients_of_a_stored_listener_in_the_way_are_served, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
