#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static struct daemon server;

/* The port of the listener at an address of its own. */
static int
port_of(const char *protocol, const char *ip)
{
	char name[64];

	snprintf(name, sizeof(name), "%s %s", protocol, ip);
	return daemon_port(&server, name);
}

/* Sends "x\n" and asserts what comes back. */
static void
expect(int fd, const char *text)
{
	char reply[128] = "";

	client_send(fd, "x\n", 2);
	client_read(fd, reply, strlen(text));
	ck_assert_str_eq(reply, text);
}

static void
expect_datagram(int port, const char *text)
{
	char reply[128] = "";
	int fd = client_udp(port);

	client_send(fd, "x\n", 2);
	ck_assert_int_eq(recv(fd, reply, sizeof(reply) - 1, 0),
	    (ssize_t)strlen(text));
	ck_assert_str_eq(reply, text);
	close(fd);
}

START_TEST(the_command_line_comes_before_the_file)
{
	scratch_write("conf",
	    "workers = 2; stamp: { format = \"%Z a\"; timezone = \"UTC\"; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 9; } );\n");
	daemon_start(&server,
	    ARGUMENTS("-c", "conf", "-l",
		"tcp:127.0.0.1:0,framing=line,stamp.format=%Z b", "-l",
		"tcp:127.0.0.2:0", "-l", "udp:127.0.0.1:0,stamp.format=%Z c",
		"-o", "stamp.timezone=Asia/Tokyo", "-o", "workers=1"));
	ck_assert_ptr_nonnull(strstr(server.log, ", line framing"));
	ck_assert_ptr_nonnull(strstr(server.log, "ready: 1 workers"));
	int lines = client_tcp(port_of("tcp", "127.0.0.1"));
	int chunks = client_tcp_to("127.0.0.2", port_of("tcp", "127.0.0.2"));
	expect(lines, "[JST b] x\n");
	expect(chunks, "[JST a] x\n");
	expect_datagram(port_of("udp", "127.0.0.1"), "[JST c] x\n");
	/* The command line is applied again to what a reload reads. */
	daemon_reload(&server,
	    "workers = 3; stamp: { format = \"%Z d\"; timezone = \"UTC\"; };\n",
	    "reloaded");
	expect(lines, "[JST b] x\n");
	expect(chunks, "[JST d] x\n");
	close(lines);
	close(chunks);
	daemon_stop(&server);
}
END_TEST

#define LISTENER(protocol, ip, settings)                                       \
	"{ protocol = \"" protocol "\"; address = \"" ip                       \
	"\"; port = 0; " settings " }"
#define STAMP(format, zone)                                                    \
	"stamp: { format = \"" format "\"; timezone = \"" zone "\"; };"

START_TEST(a_reload_reaches_the_connections_of_each_listener)
{
	daemon_start_config(&server,
	    "workers = 1;" STAMP("%Z a", "UTC") "listeners = (" LISTENER("tcp",
		"127.0.0.1",
		STAMP("%Z b", "Asia/Tokyo")) "," LISTENER("tcp", "127.0.0.2",
		"stamp: { timezone = \"Asia/Kathmandu\"; };") "," LISTENER("tc"
									   "p",
		"127.0.0.3", "") "," LISTENER("udp", "127.0.0.1",
		STAMP("%Z c", "Asia/Tokyo")) ");\n");
	int first = client_tcp(port_of("tcp", "127.0.0.1"));
	int second = client_tcp_to("127.0.0.2", port_of("tcp", "127.0.0.2"));
	int third = client_tcp_to("127.0.0.3", port_of("tcp", "127.0.0.3"));
	int udp = port_of("udp", "127.0.0.1");

	expect(first, "[JST b] x\n");
	expect(second, "[+0545 a] x\n");
	expect(third, "[UTC a] x\n");
	expect_datagram(udp, "[JST c] x\n");
	daemon_reload(&server,
	    STAMP("%Z d", "Asia/Tokyo") "listeners = (" LISTENER("tcp",
		"127.0.0.2", STAMP("%Z e", "UTC")) "," LISTENER("tcp",
		"127.0.0.3", "idle_timeout = 1;") "," LISTENER("udp",
		"127.0.0.1", STAMP("%Z f", "Asia/Kathmandu")) ");\n",
	    "reloaded");
	/* Its listener is gone. */
	expect(first, "[JST d] x\n");
	expect(second, "[UTC e] x\n");
	expect(third, "[JST d] x\n");
	expect_datagram(udp, "[+0545 f] x\n");
	client_expect_end(third);
	expect(second, "[UTC e] x\n");
	daemon_await_counter(&server, "closed_idle", 1);
	close(first);
	close(second);
	close(third);
	daemon_stop(&server);
}
END_TEST

/* A client in its backlog keeps the listener open, but nothing of it. */
START_TEST(connections_lose_what_a_draining_listener_had)
{
	daemon_start_config(&server,
	    "workers = 1; limits: { max_connections = 1; };" STAMP("%Z a",
		"UTC") "listeners = (" LISTENER("tcp", "127.0.0.1",
		STAMP("%Z b", "Asia/Tokyo") "idle_timeout = 0;") ");\n");
	int port = port_of("tcp", "127.0.0.1");
	int first = client_tcp(port), waiting = client_tcp(port);

	expect(first, "[JST b] x\n");
	client_send(waiting, "x\n", 2);
	daemon_reload(&server,
	    "limits: { max_connections = 1; idle_timeout = 2; };" STAMP("%Z c",
		"UTC") "listeners = (" LISTENER("tcp", "127.0.0.2", "") ");\n",
	    "reloaded");
	expect(first, "[UTC c] x\n");
	client_expect_end(first);
	char reply[16] = "";
	client_read(waiting, reply, strlen("[UTC c] x\n"));
	ck_assert_str_eq(reply, "[UTC c] x\n");
	close(first);
	close(waiting);
	daemon_stop(&server);
}
END_TEST

START_TEST(each_listener_has_its_idle_timeout)
{
	daemon_start(&server,
	    ARGUMENTS("-o", "limits.idle_timeout=1", "-o", "workers=1", "-l",
		"tcp:127.0.0.1:0,idle_timeout=0", "-l", "tcp:127.0.0.2:0", "-l",
		"tcp:127.0.0.3:0,framing=line,idle_timeout=2"));
	int never = client_tcp(port_of("tcp", "127.0.0.1"));
	int soon = client_tcp_to("127.0.0.2", port_of("tcp", "127.0.0.2"));
	int later = client_tcp_to("127.0.0.3", port_of("tcp", "127.0.0.3"));
	client_talk(never, "hello");
	client_talk(later, "hello");
	client_expect_end(soon);
	client_expect_end(later);
	client_talk(never, "hello");
	daemon_await_counter(&server, "closed_idle", 2);
	close(never);
	close(soon);
	close(later);
	daemon_stop(&server);
}
END_TEST

#define HANDED_OVER                                                            \
	"listeners = (" LISTENER("tcp", "127.0.0.1",                           \
	    STAMP("%Z b", "Asia/Tokyo") "idle_timeout = 0;") "," LISTENER("tc" \
									  "p", \
	    "127.0.0.2", "") ");\n"

START_TEST(a_restart_keeps_the_settings_of_each_connection)
{
	char first_settings[] = "workers = 1; limits: { idle_timeout = 600; };"
				"stamp: { format = \"%%\"; };" HANDED_OVER;
	char second_settings[] = "workers = 1; limits: { idle_timeout = 1; };"
				 "stamp: { format = \"%%\"; };" HANDED_OVER;

	manager_open(100);
	setenv("FDSTORE", "100", 1);
	manager_start(&server, first_settings);
	int own = client_tcp(port_of("tcp", "127.0.0.1"));
	int common = client_tcp_to("127.0.0.2", port_of("tcp", "127.0.0.2"));
	expect(own, "[JST b] x\n");
	expect(common, "[%] x\n");
	manager_end(&server);
	manager_start(&server, second_settings);
	expect(own, "[JST b] x\n");
	client_expect_end(common);
	expect(own, "[JST b] x\n");
	close(own);
	close(common);
	daemon_stop(&server);
}
END_TEST

static int left_over;

static void
say_something(void)
{
	send(left_over, "x\n", 2, 0);
}

/* It is answered by another worker, when the listeners are closed. */
START_TEST(a_refused_connection_keeps_the_settings_of_its_listener)
{
	char text[16] = "";

	manager_open(100);
	manager_start(&server,
	    "limits: { drain_timeout = 300; };\n"
	    "workers = 1; listeners = (" LISTENER("tcp", "127.0.0.1",
		STAMP("%Z b", "Asia/Tokyo")) ");\n");
	left_over = client_tcp(port_of("tcp", "127.0.0.1"));
	expect(left_over, "[JST b] x\n");
	manager_refuse(".connections", say_something);
	daemon_signal(&server, SIGUSR2);
	client_read(left_over, text, strlen("[JST b] x\n"));
	ck_assert_str_eq(text, "[JST b] x\n");
	client_expect_end(left_over);
	/* It is drained as in a stop. */
	manager_await("EXTEND_TIMEOUT_USEC=305000000");
	close(left_over);
	daemon_finish_saying(&server, "not all connections can be handed over");
}
END_TEST

/* What -T writes, to be freed. */
static char *
show(const char *const *arguments)
{
	struct daemon daemon;

	ck_assert_msg(daemon_run(&daemon, arguments) == 0, "%s", daemon.log);
	return daemon.log;
}

static void
assert_stable(const char *const *arguments, const char *const *parts)
{
	char *text = show(arguments);

	for (; *parts != NULL; parts++)
		ck_assert_msg(strstr(text, *parts) != NULL, "no '%s' in:\n%s",
		    *parts, text);
	scratch_write("shown", text);
	char *again = show(ARGUMENTS("-T", "-c", "shown"));
	ck_assert_str_eq(text, again);
	free(text);
	free(again);
}

/* As tests/unit/config has them for the shipped file. */
static const char *const names[] = { "log_level = ", "log_connections = ",
	"workers = ", "user = ", "control = ", "allow = ", "deny = ",
	"allow_file = ", "deny_file = ", "max_connections = ",
	"max_connections_per_address = ", "idle_timeout = \"auto\"",
	"send_timeout = ", "drain_timeout = ", "lame_duck = ", "kept_memory = ",
	"format = ", "timezone = ", "source = ", "rate_limit = ",
	"rate_burst = ", "// http: off", "// listeners = (\n// \t{\n",
	"protocol = ", "address = ", "port = ", "backlog = ",
	"receive_buffer = ", "idle_timeout = 300;",
	"framing = ", "proxy_protocol = ", "proxy_from = ", "max_datagram = ",
	"threads = ", NULL };

START_TEST(all_settings_can_be_shown)
{
	scratch_write("conf", "");
	char *debug = show(ARGUMENTS("-dTc", "conf"));

	assert_stable(ARGUMENTS("-T", "-c", "conf"), names);
	ck_assert_ptr_nonnull(strstr(debug, "log_level = \"debug\";"));
	free(debug);
}
END_TEST

START_TEST(what_is_shown_loads)
{
	scratch_write("networks", "198.51.100.0/24\n");
	scratch_write("conf",
	    "user = \"daemon\"; log_connections = true;\n"
	    "stamp: { source = \"arrival\"; format = \"a\\\"\\\\b %F\"; };\n"
	    "limits: { max_connections_per_address = 7; };\n"
	    "http: { path = \"/run/a\"; };\n"
	    "deny = ( \"192.0.2.1\", \"2001:db8::/32\" );\n"
	    "listeners = ( { protocol = \"tcp\"; port = \"daytime\"; framing ="
	    " \"line\"; proxy_protocol = \"accept\"; proxy_from = [ \"::1\" ]; "
	    "allow = [ \"10.0.0.0/8\" ]; },\n"
	    "{ protocol = \"unix-dgram\"; path = \"/\\x1b,\"; mode = \"0600\";"
	    " abstract_clients = true; stamp: { timezone = \"UTC\"; }; } );\n");
	assert_stable(ARGUMENTS("-T", "-c", "conf", "-o", "limits.lame_duck=9"),
	    ARGUMENTS("user = \"daemon\";", "log_connections = true;",
		"source = \"arrival\";", "format = \"a\\\"\\\\b %F\";",
		"max_connections_per_address = 7;", "lame_duck = 9;",
		"\tpath = \"/run/a\";\n", "port = 13;", "framing = \"line\";",
		"deny = [ \"192.0.2.1\", \"2001:db8::/32\" ];",
		"proxy_protocol = \"accept\";", "proxy_from = [ \"::1\" ];",
		"allow = [ \"10.0.0.0/8\" ];", "idle_timeout = 604800;",
		"path = \"/\\x1b,\";", "mode = \"0600\";",
		"abstract_clients = true;", "timezone = \"UTC\";"));
	scratch_write("conf", "");
	assert_stable(ARGUMENTS("-T", "-c", "conf", "-o", "http.port=0", "-o",
			  "limits.idle_timeout=0", "-l",
			  "unix-seqpacket:/a\\,b,backlog=3"),
	    ARGUMENTS("\tport = 0;\n", "\tidle_timeout = 0;\n",
		"\t\tidle_timeout = 0;\n", "path = \"/a,b\";", "backlog = 3;"));
}
END_TEST

START_TEST(what_is_wrong_is_not_shown)
{
	struct daemon daemon;

	scratch_write("conf", "workers = 5000;\n");
	ck_assert_int_eq(daemon_run(&daemon, ARGUMENTS("-Tc", "conf")),
	    EX_CONFIG);
	ck_assert_str_eq(daemon.log,
	    "conf:1:11: workers: 5000 is out of range: "
	    "0 to 1024 are allowed\n");
	free(daemon.log);
	/* The command line stands in its place. */
	free(show(ARGUMENTS("-Tc", "conf", "-o", "workers=5")));
}
END_TEST

Suite *
settings_suite(void)
{
	Suite *suite = suite_create("settings");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, the_command_line_comes_before_the_file);
	tcase_add_test(tests,
	    a_reload_reaches_the_connections_of_each_listener);
	tcase_add_test(tests, connections_lose_what_a_draining_listener_had);
	tcase_add_test(tests, each_listener_has_its_idle_timeout);
	tcase_add_test(tests, a_restart_keeps_the_settings_of_each_connection);
	tcase_add_test(tests,
	    a_refused_connection_keeps_the_settings_of_its_listener);
	tcase_add_test(tests, all_settings_can_be_shown);
	tcase_add_test(tests, what_is_shown_loads);
	tcase_add_test(tests, what_is_wrong_is_not_shown);
	suite_add_tcase(suite, tests);
	return suite;
}
