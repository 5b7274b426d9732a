#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void
assert_ends(const char *const *arguments, int status, const char *text)
{
	struct daemon daemon;
	int ended = daemon_run(&daemon, arguments);

	ck_assert_msg(ended == status, "ended with %d, not %d:\n%s", ended,
	    status, daemon.log);
	ck_assert_msg(strstr(daemon.log, text) != NULL, "no '%s' in:\n%s", text,
	    daemon.log);
	free(daemon.log);
}

START_TEST(help_and_version)
{
	assert_ends(ARGUMENTS("-h"), 0, "usage: timestampd");
	assert_ends(ARGUMENTS("--version"), 0, "timestampd 1.");
}
END_TEST

START_TEST(usage)
{
	assert_ends(ARGUMENTS("-x"), EX_USAGE, "-x: no such option");
	assert_ends(ARGUMENTS("-l", "tcp:x"), EX_USAGE, "-l tcp:x: port: ");
}
END_TEST

START_TEST(configuration)
{
	scratch_write("bad", "workers = 1;\nwrokers = 1;\nlimits = 1;\n");
	scratch_write("syntax", "workers = 1;\n\nlimits 2;\n");
	scratch_write("good", "workers = 1;\n");
	assert_ends(ARGUMENTS("-c", "nowhere"), EX_CONFIG,
	    "cannot read nowhere: No such file or directory");
	assert_ends(ARGUMENTS("-c", "."), EX_CONFIG, "not a regular file");
	ck_assert_int_eq(mkfifo("pipe", 0600), 0);
	assert_ends(ARGUMENTS("-tc", "pipe"), EX_CONFIG, "not a regular file");
	assert_ends(ARGUMENTS("-c", "syntax"), EX_CONFIG,
	    "syntax:3:1: a = is missing behind the name: limits");
	assert_ends(ARGUMENTS("-tc", "bad"), EX_CONFIG, "bad:2:1: wrokers: ");
	assert_ends(ARGUMENTS("-tc", "bad"), EX_CONFIG, "bad:3:10: limits: ");
	scratch_write("red", "stamp: { source = \"\x1b[31m\"; };\n");
	assert_ends(ARGUMENTS("-tc", "red"), EX_CONFIG,
	    "red:1:19: stamp.source: \"\\x1b[31m\" is not one of");
	assert_ends(ARGUMENTS("-tc", "\x1b[31m"), EX_CONFIG,
	    "cannot read \\x1b[31m: No such file or directory");
	scratch_write("large", "");
	ck_assert_int_eq(truncate("large", 300000000), 0);
	assert_ends(ARGUMENTS("-tc", "large"), EX_CONFIG,
	    "it has 300000000 bytes, and at most 1048576 are allowed");
	assert_ends(ARGUMENTS("-tc", "good"), 0, ": OK: tcp ");
	assert_ends(ARGUMENTS("-t"), 0, ": OK: tcp ");
}
END_TEST

START_TEST(unknown_host)
{
	scratch_write("conf", "listeners = ( { protocol = \"udp\"; address = "
			      "\"x\x1b[2J\\n.invalid\"; } );\n");
	assert_ends(ARGUMENTS("-l", "tcp:no.such.host.invalid:1"),
	    EX_UNAVAILABLE, "no.such.host.invalid: host not found");
	assert_ends(ARGUMENTS("-c", "conf"), EX_CONFIG,
	    "conf:1:45: listeners[0].address: "
	    "\"x\\x1b[2J\\x0a.invalid\" is not an IP address");
}
END_TEST

START_TEST(address_in_use)
{
	struct daemon first;
	char spec[64];

	daemon_start(&first, ARGUMENTS("-l", "tcp:127.0.0.1:0"));
	snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%d",
	    daemon_port(&first, "tcp 127.0.0.1"));
	assert_ends(ARGUMENTS("-l", spec), EX_UNAVAILABLE,
	    "Address already in use");
	daemon_stop(&first);
}
END_TEST

START_TEST(same_address_under_two_names)
{
	scratch_write("conf",
	    "listeners = (\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = 4; },\n"
	    "{ protocol = \"tcp\"; address = \"127.000.000.001\"; port = 4; }"
	    ");\n");
	assert_ends(ARGUMENTS("-c", "conf"), EX_UNAVAILABLE,
	    "conf:3: tcp 127.0.0.1:4: is the same as the one at conf:2");
}
END_TEST

START_TEST(every_listener_that_fails_is_named)
{
	struct daemon daemon;

	ck_assert_int_eq(daemon_run(&daemon,
			     ARGUMENTS("-l", "udp:198.51.100.1:9", "-l",
				 "tcp:198.51.100.2:9")),
	    EX_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(daemon.log, "udp 198.51.100.1:9"));
	ck_assert_ptr_nonnull(strstr(daemon.log, "tcp 198.51.100.2:9"));
	free(daemon.log);
}
END_TEST

/* Whether ports need a privilege here, and this process has it to drop. */
static bool
has_privileged_ports(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start",
	    "r");
	int first = 0;

	if (file != NULL) {
		ck_assert_int_eq(fscanf(file, "%d", &first), 1);
		fclose(file);
	}
	return first > 7 && geteuid() == 0 && daemon_is_bare();
}

START_TEST(privileged_port)
{
	char copy[] = "./copy", command[512];

	if (!has_privileged_ports()) {
		puts("skipped: privileged_port: no privilege to drop");
		return;
	}
	/* An unprivileged user may lack access to the build folder. */
	snprintf(command, sizeof(command), "cp '%s' copy && chmod 755 . copy",
	    getenv("TIMESTAMPD"));
	ck_assert_int_eq(system(command), 0);
	setenv("TIMESTAMPD", copy, 1);
	setenv("TIMESTAMPD_WRAPPER",
	    "setpriv --reuid 65534 --clear-groups --bounding-set -all "
	    "--inh-caps -all",
	    1);
	assert_ends(ARGUMENTS("-l", "tcp:127.0.0.1:7"), EX_NOPERM,
	    "tcp 127.0.0.1:7: bind: Permission denied; ports below 1024 need "
	    "CAP_NET_BIND_SERVICE");
}
END_TEST

/* A socket with the number of a closed stream would get the stream's output. */
START_TEST(closed_standard_streams)
{
	struct daemon daemon;
	char path[64], target[64] = "";

	if (!daemon_is_bare())
		return;
	scratch_write("close", "#!/bin/sh\nexec \"$@\" 0<&- 1>&-\n");
	ck_assert_int_eq(chmod("close", 0755), 0);
	setenv("TIMESTAMPD_WRAPPER", "./close", 1);
	daemon_start(&daemon, ARGUMENTS("-l", "tcp:127.0.0.1:0"));
	for (int fd = 0; fd < 2; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", daemon.pid, fd);
		ck_assert_int_gt(readlink(path, target, sizeof(target) - 1), 0);
		ck_assert_str_eq(target, "/dev/null");
	}
	daemon_stop(&daemon);
}
END_TEST

START_TEST(unix_path_taken)
{
	struct daemon first;
	char spec[128], folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(spec, sizeof(spec), "unix:%s/sock", folder);
	daemon_start(&first, ARGUMENTS("-l", spec));
	assert_ends(ARGUMENTS("-l", spec), EX_UNAVAILABLE,
	    "another process serves this socket");
	daemon_signal(&first, SIGKILL);
	daemon_wait(&first);
	free(first.log);
	ck_assert_int_eq(access("sock", F_OK), 0);
	daemon_start(&first, ARGUMENTS("-l", spec));
	daemon_stop(&first);
	ck_assert_int_eq(access("sock", F_OK), -1);
	scratch_write("sock", "");
	assert_ends(ARGUMENTS("-l", spec), EX_UNAVAILABLE,
	    "there is a file that is not a socket");
}
END_TEST

START_TEST(two_listeners_on_one_line)
{
	struct daemon daemon;

	daemon_start_config(&daemon,
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = 0; }, { protocol = \"udp\"; address = \"127.0.0.1\"; "
	    "port = 0; } );\n");
	int fd = client_tcp(daemon_port(&daemon, "tcp 127.0.0.1"));
	client_talk(fd, "hello");
	close(fd);
	fd = client_udp(daemon_port(&daemon, "udp 127.0.0.1"));
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	close(fd);
	daemon_stop(&daemon);
}
END_TEST

START_TEST(debug_shows_each_connection)
{
	struct daemon daemon;
	char line[128];

	daemon_start(&daemon,
	    ARGUMENTS("-d", "-l", "tcp:127.0.0.1:0", "-l", "udp:[::1]:0"));
	int port = daemon_port(&daemon, "tcp 127.0.0.1");
	int fd = client_tcp(port);
	snprintf(line, sizeof(line),
	    "debug: tcp 127.0.0.1:%d from 127.0.0.1:", port);
	daemon_await(&daemon, line);
	daemon_await(&daemon, ": open\n");
	client_talk(fd, "hello");
	close(fd);
	daemon_await(&daemon, line);
	daemon_await(&daemon, ": closed, the client closed: 1 messages, 5 "
			      "bytes in, 32 bytes out, ");
	fd = client_udp6(daemon_port(&daemon, "udp [::1]"));
	client_send(fd, "x", 1);
	client_expect_datagram(fd, "x", 1);
	daemon_await(&daemon, "udp datagram from [::1]:");
	daemon_await(&daemon, ", 1 bytes: answered\n");
	close(fd);
	daemon_stop(&daemon);
}
END_TEST

Suite *
command_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, help_and_version);
	tcase_add_test(tests, usage);
	tcase_add_test(tests, configuration);
	tcase_add_test(tests, unknown_host);
	tcase_add_test(tests, address_in_use);
	tcase_add_test(tests, same_address_under_two_names);
	tcase_add_test(tests, every_listener_that_fails_is_named);
	tcase_add_test(tests, privileged_port);
	tcase_add_test(tests, closed_standard_streams);
	tcase_add_test(tests, unix_path_taken);
	tcase_add_test(tests, two_listeners_on_one_line);
	tcase_add_test(tests, debug_shows_each_connection);
	suite_add_tcase(suite, tests);
	return suite;
}
