#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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
	assert_ends(ARGUMENTS("-x"), EX_USAGE, "usage: timestampd");
	assert_ends(ARGUMENTS("--port"), EX_USAGE, "'--port'");
	assert_ends(ARGUMENTS("conf"), EX_USAGE, "'conf' is no option");
	assert_ends(ARGUMENTS("-c"), EX_USAGE, "requires an argument");
	assert_ends(ARGUMENTS("-l", "tcp:x"), EX_USAGE, "-l tcp:x: needs");
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
	    "syntax:3: syntax error");
	assert_ends(ARGUMENTS("-tc", "bad"), EX_CONFIG, "bad:2: wrokers: ");
	assert_ends(ARGUMENTS("-tc", "bad"), EX_CONFIG, "bad:3: limits: ");
	assert_ends(ARGUMENTS("-tc", "good"), 0, "is good");
	assert_ends(ARGUMENTS("-t"), 0, "is good");
}
END_TEST

START_TEST(unknown_host)
{
	assert_ends(ARGUMENTS("-l", "tcp:no.such.host.invalid:1"),
	    EX_UNAVAILABLE, "no.such.host.invalid: host not found");
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

/* Whether the host has ports that want a privilege, and we one to give up. */
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
		puts("skipped: privileged_port: no privilege to give up");
		return;
	}
	/* The user without privilege may not reach the build's folder. */
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

/* A socket in the place of a closed stream would get what is meant for that. */
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

/* With -r the reload is over when the command ends, and has a status. */
START_TEST(a_reload_can_be_waited_for)
{
	struct daemon server;
	char pid[16];
	const char *const reload[] = { "-c", "conf", "-r", pid, NULL };

	daemon_start_config(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	snprintf(pid, sizeof(pid), "%d", server.pid);
	scratch_write("conf",
	    "stamp: { format = \"%%\"; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	assert_ends(reload, 0, "");
	char reply[5];
	client_send(fd, "x", 1);
	client_read(fd, reply, 5);
	ck_assert_mem_eq(reply, "[%] x", 5);
	close(fd);

	scratch_write("conf", "wrokers = 1;\n");
	assert_ends(reload, EX_CONFIG, "conf:1: wrokers: no such setting");
	scratch_write("conf", "listeners = ( { protocol = \"tcp\"; address = "
			      "\"198.51.100.1\"; } );\n");
	assert_ends(reload, EX_CONFIG, "198.51.100.1:21567: bind: Cannot");
	daemon_stop(&server);
	scratch_write("conf", "");
	assert_ends(reload, EX_CONFIG, "No such process");
	assert_ends(ARGUMENTS("-r", "x"), EX_USAGE, "-r x: wants the number");
}
END_TEST

static bool
find_inode_name(unsigned long inode, struct sockaddr_un *address)
{
	char line[256];
	unsigned long found;
	FILE *file = fopen("/proc/net/unix", "r");
	bool is_found = false;

	ck_assert_ptr_nonnull(file);
	while (!is_found && fgets(line, sizeof(line), file) != NULL)
		is_found = sscanf(line, "%*s %*s %*s %*s %*s %*s %lu @%5s",
			       &found, address->sun_path + 1) == 2 &&
		           found == inode;
	fclose(file);
	return is_found;
}

/* Waits until a process that asks for a reload has a socket for the answer. */
static struct sockaddr_un
await_asker(const struct daemon *asker)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[64], target[64] = "";
	unsigned long inode;

	for (int fd = 0;; fd = (fd + 1) % 64) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", asker->pid, fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) == 1 &&
		    find_inode_name(inode, &address))
			return address;
	}
}

static void
spawn_asker(struct daemon *asker, const struct daemon *of)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", of->pid);
	daemon_spawn(asker, ARGUMENTS("-c", "conf", "-r", pid));
}

/* Of two requests that find the server busy the kernel keeps one. */
START_TEST(two_reloads_at_a_time_are_both_answered)
{
	struct daemon server, askers[2];

	daemon_start(&server, ARGUMENTS("-l", "tcp:0"));
	scratch_write("conf", "");
	daemon_pause(&server);
	for (int i = 0; i < 2; i++) {
		spawn_asker(&askers[i], &server);
		await_asker(&askers[i]);
	}
	daemon_signal(&server, SIGCONT);
	for (int i = 0; i < 2; i++) {
		int status = daemon_wait(&askers[i]);
		ck_assert_msg(status == 0, "%s", askers[i].log);
		free(askers[i].log);
	}
	daemon_stop(&server);
}
END_TEST

START_TEST(the_answer_of_another_process_is_not_believed)
{
	struct daemon server, asker;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	daemon_start(&server, ARGUMENTS("-l", "tcp:0"));
	scratch_write("conf", "");
	daemon_pause(&server);
	spawn_asker(&asker, &server);
	struct sockaddr_un address = await_asker(&asker);
	ck_assert_int_eq(sendto(fd, "forged", 6, 0, (struct sockaddr *)&address,
			     offsetof(struct sockaddr_un, sun_path) + 6),
	    6);
	close(fd);
	daemon_signal(&server, SIGCONT);
	int status = daemon_wait(&asker);
	ck_assert_msg(status == 0, "%s", asker.log);
	free(asker.log);
	daemon_stop(&server);
}
END_TEST

START_TEST(an_answer_says_nothing_to_the_terminal)
{
	struct daemon server, asker;

	daemon_start_config(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	scratch_write("conf", "listeners = ( { protocol = \"tcp\"; address = "
			      "\"\033[31m.invalid\"; } );\n");
	spawn_asker(&asker, &server);
	ck_assert_int_eq(daemon_wait(&asker), EX_CONFIG);
	ck_assert_msg(strstr(asker.log, "?[31m.invalid: host not found") !=
			  NULL,
	    "%s", asker.log);
	free(asker.log);
	daemon_stop(&server);
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
	tcase_add_test(tests, a_reload_can_be_waited_for);
	tcase_add_test(tests, two_reloads_at_a_time_are_both_answered);
	tcase_add_test(tests, the_answer_of_another_process_is_not_believed);
	tcase_add_test(tests, an_answer_says_nothing_to_the_terminal);
	tcase_add_test(tests, debug_shows_each_connection);
	suite_add_tcase(suite, tests);
	return suite;
}
