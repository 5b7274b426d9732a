#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

#define TCP(more) "{ protocol = \"tcp\"; port = 0; " more "}"
#define UDP(more) "{ protocol = \"udp\"; port = 0; " more "}"
#define LISTENERS(list) "listeners = ( " list " );\n"

/* Client addresses of this machine; the server maps them to IPv6. */
#define GOOD "127.0.0.77"
#define BAD "127.0.0.66"

static struct daemon server;

/* A socket of source, connected to loopback; -1: it was reset at once. */
static int
try_from(const char *source, int type, int port)
{
	bool is_ipv6 = strchr(source, ':') != NULL;
	struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
	struct sockaddr_in6 to_ipv6 = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = inet_addr(source);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	if (!is_ipv6)
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&from,
				     sizeof(from)),
		    0);
	int rc = is_ipv6
	           ? connect(fd, (struct sockaddr *)&to_ipv6, sizeof(to_ipv6))
	           : connect(fd, (struct sockaddr *)&to, sizeof(to));
	if (rc == 0)
		return fd;
	ck_assert_int_eq(errno, ECONNRESET);
	close(fd);
	return -1;
}

static int
connect_from(const char *source, int type, int port)
{
	int fd = try_from(source, type, port);

	ck_assert_int_ne(fd, -1);
	return fd;
}

static void
assert_served(const char *source, int type, int port)
{
	int fd = connect_from(source, type, port);

	client_talk(fd, "hello");
	close(fd);
}

/* Its data gets no reply.  The reset is told once. */
static void
assert_refused(const char *source, int port)
{
	int fd = try_from(source, SOCK_STREAM, port);
	char byte;

	if (fd == -1)
		return;
	bool is_reset = send(fd, "hello", 5, MSG_NOSIGNAL) == -1;
	ssize_t n = recv(fd, &byte, 1, 0);
	ck_assert_int_eq(n, is_reset ? 0 : -1);
	close(fd);
}

/* The reply to what comes behind it shows that it had none. */
static void
assert_dropped(const char *source, int port, unsigned long long dropped)
{
	int bad = connect_from(source, SOCK_DGRAM, port);
	char byte;

	client_send(bad, "hello", 5);
	daemon_await_counter(&server, "dropped_denied", dropped);
	assert_served(GOOD, SOCK_DGRAM, port);
	ck_assert_int_eq(recv(bad, &byte, 1, MSG_DONTWAIT), -1);
	ck_assert_int_eq(errno, EAGAIN);
	close(bad);
}

START_TEST(a_denied_client_gets_nothing)
{
	daemon_start_config(&server,
	    "deny = [ \"" BAD "\" ];\n" LISTENERS(TCP() "," UDP()));
	int port = daemon_port(&server, "tcp *");

	assert_served(GOOD, SOCK_STREAM, port);
	assert_refused(BAD, port);
	assert_refused(BAD, port);
	close(client_tcp6(port));
	daemon_await_counter(&server, "closed_client", 2);
	daemon_await_counter(&server, "closed_denied", 2);
	ck_assert_uint_eq(daemon_counter(&server, "accepted"), 4);
	daemon_await_counter(&server, "open", 0);
	ck_assert_uint_eq(daemon_counter(&server, "tcp_messages_in"), 1);
	assert_dropped(BAD, daemon_port(&server, "udp *"), 1);
	assert_dropped(BAD, daemon_port(&server, "udp *"), 2);
	daemon_stop(&server);
}
END_TEST

START_TEST(others_than_the_allowed_get_nothing)
{
	daemon_start_config(&server,
	    LISTENERS(TCP("allow = [ \"127.0.0.64/28\" ];") "," UDP(
		"allow = [ \"" GOOD "\" ];")));
	int port = daemon_port(&server, "tcp *");

	assert_served(GOOD, SOCK_STREAM, port);
	assert_served(BAD, SOCK_STREAM, port);
	assert_refused("127.0.0.1", port);
	assert_refused("::1", port);
	assert_dropped(BAD, daemon_port(&server, "udp *"), 1);
	daemon_await_counter(&server, "closed_denied", 2);
	daemon_stop(&server);
}
END_TEST

START_TEST(unix_clients_are_always_served)
{
	char config[512], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "deny = [ \"0.0.0.0/0\", \"::/0\" ];\n" LISTENERS(
		"{ protocol = \"unix\"; path = \"%s/stream\"; },"
		"{ protocol = \"unix-dgram\"; path = \"%s/datagram\"; }"),
	    folder, folder);
	daemon_start_config(&server, config);
	int fd = client_unix("stream", SOCK_STREAM);
	client_talk(fd, "hello");
	close(fd);
	fd = client_unix("datagram", SOCK_DGRAM);
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	close(fd);
	daemon_stop(&server);
}
END_TEST

/* With the lists for all first, then those of the listeners. */
START_TEST(a_reload_changes_the_lists)
{
	static const char *const configs[] = {
		LISTENERS(TCP() "," UDP()),
		"deny = [ \"" BAD "\" ];\n" LISTENERS(TCP() "," UDP()),
		LISTENERS(TCP("deny = [ \"" BAD "\" ];") "," UDP(
		    "deny = [ \"" BAD "\" ];")),
	};

	daemon_start_config(&server, configs[0]);
	int tcp = daemon_port(&server, "tcp *");
	int udp = daemon_port(&server, "udp *");
	for (unsigned i = 0; i < 4; i++) {
		int old = connect_from(BAD, SOCK_STREAM, tcp);
		client_talk(old, "before");
		assert_served(BAD, SOCK_DGRAM, udp);
		daemon_reload(&server, configs[1 + i % 2], "reloaded");
		assert_refused(BAD, tcp);
		assert_dropped(BAD, udp, i + 1);
		assert_served(GOOD, SOCK_STREAM, tcp);
		client_talk(old, "after");
		close(old);
		daemon_reload(&server, configs[0], "reloaded");
	}
	daemon_stop(&server);
}
END_TEST

START_TEST(a_file_is_read_again_by_a_reload)
{
	char config[512], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "allow_file = \"%s/list\";\n" LISTENERS(TCP()), folder);
	scratch_write("list", "127.0.0.0/8 # all\n");
	daemon_start_config(&server, config);
	int port = daemon_port(&server, "tcp *");
	assert_served(BAD, SOCK_STREAM, port);
	scratch_write("list", GOOD "\n");
	daemon_reload(&server, config, "reloaded");
	assert_served(GOOD, SOCK_STREAM, port);
	assert_refused(BAD, port);
	scratch_write("list", "127.0.0.1/8\n");
	daemon_reload(&server, config,
	    "list:1: \"127.0.0.1/8\" has bits set behind its length; did you "
	    "mean the network \"127.0.0.0/8\" or the address \"127.0.0.1\"?");
	daemon_await(&server, "reload refused");
	assert_served(GOOD, SOCK_STREAM, port);
	assert_refused(BAD, port);
	daemon_stop(&server);
}
END_TEST

/* No listener is configured for what a socket unit passes. */
START_TEST(a_passed_socket_has_the_lists_for_all)
{
	int port, fd = inet_server(SOCK_STREAM, &port);

	manager_open(0);
	manager_pass(fd, "timestampd.socket");
	manager_start(&server, "deny = [ \"" BAD "\" ];");
	assert_served(GOOD, SOCK_STREAM, port);
	assert_refused(BAD, port);
	daemon_stop(&server);
}
END_TEST

START_TEST(the_log_says_who_was_denied)
{
	daemon_start_config(&server, "log_level = \"debug\"; deny = [ \"" BAD
				     "\" ];\n" LISTENERS(TCP() "," UDP()));

	assert_refused(BAD, daemon_port(&server, "tcp *"));
	daemon_await(&server, "from " BAD ":");
	daemon_await(&server, ": closed: denied by the lists\n");
	int fd = connect_from(BAD, SOCK_DGRAM, daemon_port(&server, "udp *"));
	client_send(fd, "hello", 5);
	daemon_await(&server, "from " BAD ":");
	daemon_await(&server, ", 5 bytes: dropped: denied by the lists\n");
	close(fd);
	daemon_stop(&server);
}
END_TEST

Suite *
access_suite(void)
{
	Suite *suite = suite_create("access");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_denied_client_gets_nothing);
	tcase_add_test(tests, others_than_the_allowed_get_nothing);
	tcase_add_test(tests, unix_clients_are_always_served);
	tcase_add_test(tests, a_reload_changes_the_lists);
	tcase_add_test(tests, a_file_is_read_again_by_a_reload);
	tcase_add_test(tests, a_passed_socket_has_the_lists_for_all);
	tcase_add_test(tests, the_log_says_who_was_denied);
	suite_add_tcase(suite, tests);
	return suite;
}
