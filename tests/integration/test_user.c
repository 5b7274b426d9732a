#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/inet.h"
#include "harness/scratch.h"
#include "suites.h"

#define ARGUMENTS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define EX_OSERR 71
#define EX_NOPERM 77
#define EX_CONFIG 78
#define AS_NOBODY "setpriv --reuid=nobody --regid=nogroup --clear-groups"
#define WITH_CAPS " --inh-caps=+setuid,+setgid --ambient-caps=+setuid,+setgid"

static struct daemon server;
static char config[1024], folder[64];

/* A change of the user is for root; strace would need the filter to allow it. */
static bool
can_run(void)
{
	if (geteuid() == 0 && !daemon_is_wrapped())
		return true;
	puts("skipped: only root can become another user");
	return false;
}

/* The scratch folder, open to all users, with the program in it. */
static void
enter(void)
{
	char command[512];

	scratch_enter();
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	ck_assert_int_eq(chmod(".", 0755), 0);
	snprintf(command, sizeof(command), "cp '%s' program",
	    getenv("TIMESTAMPD"));
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof(command), "%s/program", folder);
	setenv("TIMESTAMPD", command, 1);
}

static const char *
with_user(const char *user, const char *more)
{
	snprintf(config, sizeof(config), "user = \"%s\"; workers = 2;\n%s",
	    user, more);
	return config;
}

/* One listener, at path in the scratch folder; and the control socket. */
static const char *
with_path(const char *user, const char *path, const char *mode)
{
	char more[512];

	snprintf(more, sizeof(more),
	    "control = \"%s/ask\"; listeners = ( { protocol = \"unix\"; "
	    "path = \"%s/%s\"; mode = \"%s\"; } );\n",
	    folder, folder, path, mode);
	return with_user(user, more);
}

/* A line of a status file, its fields separated by single spaces. */
static void
assert_line(const char *path, const char *name, const char *wanted)
{
	char line[256], found[256] = "";
	FILE *file = fopen(path, "r");
	size_t len = 0;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			strcpy(found, line + strlen(name));
	fclose(file);
	for (char *word = strtok(found, " \t\n"); word != NULL;
	     word = strtok(NULL, " \t\n"))
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s%s",
		    len > 0 ? " " : "", word);
	ck_assert_msg(strcmp(line, wanted) == 0, "%s: %s%s, not %s", path, name,
	    line, wanted);
}

static int
assert_each_thread(const char *name, const char *wanted)
{
	char path[300];
	struct dirent *entry;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", server.pid);
	DIR *tasks = opendir(path);
	ck_assert_ptr_nonnull(tasks);
	while ((entry = readdir(tasks)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status",
		    server.pid, entry->d_name);
		assert_line(path, name, wanted);
		count++;
	}
	closedir(tasks);
	return count;
}

#define LOW                                                                    \
	"control = \"\"; listeners = (\n"                                      \
	"{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = 7; },\n"        \
	"{ protocol = \"udp\"; address = \"127.0.0.1\"; port = 9; }"

START_TEST(every_thread_becomes_the_user_and_serves_a_low_port)
{
	static const char *const none[] = { "CapInh:", "CapPrm:", "CapEff:",
		"CapAmb:" };
	const struct passwd *daemon_user = getpwnam("daemon");
	char ids[64];

	if (!can_run() || !inet_enter_network())
		return;
	daemon_start_config(&server, with_user("daemon", LOW " );"));
	snprintf(ids, sizeof(ids), "%u %u %u %u", daemon_user->pw_uid,
	    daemon_user->pw_uid, daemon_user->pw_uid, daemon_user->pw_uid);
	/* Main, two workers, a datagram thread; a sanitizer may have more. */
	ck_assert_int_ge(assert_each_thread("Uid:", ids), 4);
	assert_each_thread("Gid:", ids);
	snprintf(ids, sizeof(ids), "%u", daemon_user->pw_gid);
	assert_each_thread("Groups:", ids);
	assert_each_thread("NoNewPrivs:", "1");
	for (int i = 0; i < 4; i++)
		assert_each_thread(none[i], "0000000000000000");
	ck_assert_ptr_null(strstr(server.log, "as root"));
	int fd = client_tcp(7), udp = client_udp(9);
	client_talk(fd, "hello");
	client_send(udp, "hello", 5);
	client_expect_datagram(udp, "hello", 5);
	close(fd);
	close(udp);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_reload_says_why_it_cannot_bind_a_low_port)
{
	if (!can_run() || !inet_enter_network())
		return;
	daemon_start_config(&server, with_user("nobody", LOW " );"));
	daemon_reload(&server,
	    with_user("nobody",
		LOW ", { protocol = \"tcp\"; address = \"127.0.0.1\"; "
		    "port = 13; } );"),
	    "CAP_NET_BIND_SERVICE; the server gave up root for user \"nobody\" "
	    "at its start: restart it");
	daemon_await(&server, "nothing has changed");
	int fd = client_tcp(7);
	client_talk(fd, "hello");
	close(fd);
	daemon_reload(&server, with_user("daemon", LOW " );"),
	    "user: a change takes effect after a restart");
	daemon_await(&server, "reloaded");
	daemon_stop(&server);
}
END_TEST

static void
assert_owner(const char *path, const char *user, mode_t mode)
{
	struct stat status;

	ck_assert_int_eq(lstat(path, &status), 0);
	ck_assert_uint_eq(status.st_uid, getpwnam(user)->pw_uid);
	ck_assert_uint_eq(status.st_gid, getpwnam(user)->pw_gid);
	ck_assert_uint_eq(status.st_mode & 0777, mode);
}

/* Also in a folder such as /tmp, where only owners may remove. */
START_TEST(paths_are_the_users)
{
	if (!can_run())
		return;
	ck_assert_int_eq(chmod(".", 01777), 0);
	daemon_start_config(&server, with_path("nobody", "s", "0600"));
	assert_owner("s", "nobody", 0600);
	assert_owner("ask", "nobody", 0600);
	int fd = client_unix("s", SOCK_STREAM);
	client_talk(fd, "hello");
	close(fd);
	daemon_reload(&server, with_path("nobody", "s", "0660"), "reloaded");
	assert_owner("s", "nobody", 0660);
	struct daemon asker;
	ck_assert_int_eq(daemon_run(&asker, ARGUMENTS("-r", "-c", "conf")), 0);
	free(asker.log);
	ck_assert_ptr_null(strstr(server.log, "warning"));
	daemon_stop(&server);
	ck_assert_int_ne(access("s", F_OK), 0);
	ck_assert_int_ne(access("ask", F_OK), 0);
}
END_TEST

/* As timestampd.conf(5) says, a stop leaves the path there. */
START_TEST(a_path_in_a_folder_of_root_is_replaced)
{
	struct daemon asker;

	if (!can_run())
		return;
	for (int i = 0; i < 2; i++) {
		daemon_start_config(&server, with_path("nobody", "s", "0666"));
		int fd = client_unix("s", SOCK_STREAM);
		client_talk(fd, "hello");
		close(fd);
		ck_assert_int_eq(daemon_run(&asker,
				     ARGUMENTS("-s", "-c", "conf")),
		    0);
		free(asker.log);
		if (i == 0)
			daemon_reload(&server,
			    with_path("nobody", "other", "0666"),
			    "bind: Permission denied; the server gave up root");
		daemon_stop(&server);
		ck_assert_int_eq(access("s", F_OK), 0);
	}
}
END_TEST

/* A client's path, which only root could reach by other means. */
START_TEST(unix_datagrams_are_answered)
{
	char more[256];

	if (!can_run())
		return;
	snprintf(more, sizeof(more),
	    "control = \"\"; listeners = ( { protocol = \"unix-dgram\"; "
	    "path = \"%s/d\"; } );",
	    folder);
	daemon_start_config(&server, with_user("nobody", more));
	umask(0);
	int fd = client_unix("d", SOCK_DGRAM);
	client_send(fd, "hello", 5);
	client_expect_datagram(fd, "hello", 5);
	close(fd);
	daemon_stop(&server);
}
END_TEST

#define TCP "control = \"\"; listeners = ( { protocol = \"tcp\"; port = 0; } );"

/* Each call of all threads fails, or a way back to root is found. */
#define STRACE(call, effect)                                                   \
	"strace -f -qq -o trace -e trace=" call " -e inject=" call ":" effect

static const struct {
	const char *wrapper, *user, *said;
	int status;
} refused[] = {
	{ "", "no-such", "conf:1:8: user: this system has no user \"no-such\"",
	    EX_CONFIG },
	{ AS_NOBODY, "daemon",
	    "user: cannot become \"daemon\" for good: Operation not permitted; "
	    "start the server as root, or as that user",
	    EX_NOPERM },
	{ AS_NOBODY WITH_CAPS, "daemon", "cannot become \"daemon\" for good",
	    EX_NOPERM },
	{ STRACE("setgroups", "error=EPERM"), "nobody", "cannot become",
	    EX_NOPERM },
	{ STRACE("setresgid", "error=EPERM"), "nobody", "cannot become",
	    EX_NOPERM },
	{ STRACE("setresuid", "error=EAGAIN"), "nobody",
	    "Resource temporarily unavailable", EX_OSERR },
	{ STRACE("setuid", "retval=0"), "nobody", "for good", EX_NOPERM },
};

/* A sanitizer traces too. */
static bool
can_trace(void)
{
	return daemon_is_bare() && system("strace -o trace true 2>&1") == 0;
}

START_TEST(who_it_cannot_become)
{
	bool is_traced = strncmp(refused[_i].wrapper, "strace", 6) == 0;

	if (!can_run())
		return;
	if (is_traced && !can_trace())
		return;
	setenv("TIMESTAMPD_WRAPPER", refused[_i].wrapper, 1);
	scratch_write("conf", with_user(refused[_i].user, TCP));
	ck_assert_int_eq(daemon_run(&server, ARGUMENTS("-c", "conf")),
	    refused[_i].status);
	ck_assert_msg(strstr(server.log, refused[_i].said) != NULL, "%s",
	    server.log);
	free(server.log);
}
END_TEST

static const struct {
	const char *wrapper, *user;
	bool is_warned;
} starts[] = {
	{ "", "", true },
	{ "", "root", false },
	{ AS_NOBODY, "", false },
	{ AS_NOBODY, "nobody", false },
};

START_TEST(root_is_warned_of)
{
	if (!can_run())
		return;
	setenv("TIMESTAMPD_WRAPPER", starts[_i].wrapper, 1);
	daemon_start_config(&server, with_user(starts[_i].user, TCP));
	ck_assert_int_eq(strstr(server.log,
			     "warning: the server runs as root") != NULL,
	    starts[_i].is_warned);
	assert_each_thread("NoNewPrivs:", "1");
	daemon_stop(&server);
}
END_TEST

static void
assert_live(const char *address, int port)
{
	static const char request[] = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
	char answer[1024];
	int fd = client_tcp_to(address, port);

	client_send(fd, request, sizeof(request) - 1);
	answer[client_read_end(fd, answer, sizeof(answer) - 1)] = '\0';
	ck_assert_msg(strstr(answer, "\nall threads respond\n") != NULL, "%s",
	    answer);
	close(fd);
}

#define AT(address) "http: { address = \"" address "\"; port = 2000; };\n" TCP

/*
 * The kernel shares a port only between sockets of one user: root's would be in
 * the way of what the user opens.
 */
START_TEST(http_moves_to_all_addresses_of_its_port)
{
	if (!can_run() || !inet_enter_network())
		return;
	daemon_start_config(&server, with_user("nobody", AT("127.0.0.1")));
	assert_live("127.0.0.1", 2000);
	daemon_reload(&server, with_user("nobody", AT("0.0.0.0")), "reloaded");
	assert_live("127.0.0.1", 2000);
	assert_live("127.0.0.2", 2000);
	daemon_reload(&server, with_user("nobody", AT("127.0.0.2")),
	    "reloaded");
	assert_live("127.0.0.2", 2000);
	daemon_stop(&server);
}
END_TEST

#define FULL(listener)                                                         \
	"control = \"\"; limits: { max_connections = 1; }; listeners = (\n"    \
	"{ protocol = \"" listener "\"; port = 2000; } );"

/* While a client waits in its backlog. */
START_TEST(a_listener_of_root_is_opened_again)
{
	if (!can_run() || !inet_enter_network())
		return;
	daemon_start_config(&server, with_user("nobody", FULL("tcp")));
	int first = client_tcp(2000);
	client_talk(first, "in");
	int waiting = client_tcp(2000);
	client_send(waiting, "waiting", 7);
	daemon_await(&server, "max_connections (1)");
	daemon_reload(&server, with_user("nobody", FULL("udp")), "reloaded");
	daemon_reload(&server, with_user("nobody", FULL("tcp")), "reloaded");
	close(first);
	client_expect(waiting, "waiting", 7);
	close(waiting);
	int next = client_tcp(2000);
	client_talk(next, "new");
	close(next);
	daemon_stop(&server);
}
END_TEST

/* By whom a stored socket was made, and the user of the next server. */
static const struct {
	const char *maker, *user;
} stored[] = {
	{ "nobody", "nobody" },
	{ "nobody", "daemon" },
	{ "nobody", "" },
	{ "root", "nobody" },
};

START_TEST(a_stored_socket_gets_siblings)
{
	char more[256], name[64], *stored_name;
	int port;

	if (!can_run())
		return;
	setfsuid(getpwnam(stored[_i].maker)->pw_uid);
	int fd = inet_server(SOCK_DGRAM, &port);
	setfsuid(0);
	stored_name = strdup(".listener-0-1");
	daemon_pass(&fd, &stored_name, 1);
	snprintf(more, sizeof(more),
	    "control = \"\"; listeners = ( { protocol = \"udp\"; "
	    "address = \"127.0.0.1\"; port = %d; threads = 2; } );",
	    port);
	daemon_start_config(&server, with_user(stored[_i].user, more));
	snprintf(name, sizeof(name), "udp 127.0.0.1:%d, 2 threads", port);
	ck_assert_msg(strstr(server.log, name) != NULL, "%s", server.log);
	int udp = client_udp(port);
	client_send(udp, "hello", 5);
	client_expect_datagram(udp, "hello", 5);
	close(udp);
	daemon_stop(&server);
}
END_TEST

/* As a container without CAP_CHOWN does. */
START_TEST(a_socket_that_stays_roots_is_served)
{
	char more[256];

	if (!can_run() || !can_trace())
		return;
	setenv("TIMESTAMPD_WRAPPER", STRACE("fchown", "error=EPERM") " -D", 1);
	snprintf(more, sizeof(more), "log_level = \"debug\"; %s", TCP);
	daemon_start_config(&server, with_user("nobody", more));
	ck_assert_ptr_nonnull(
	    strstr(server.log, "debug: tcp *:0: cannot be given to user"));
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	close(fd);
	daemon_stop(&server);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *
user_suite(void)
{
	Suite *suite = suite_create("user");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, enter, scratch_leave);
	tcase_add_test(tests,
	    every_thread_becomes_the_user_and_serves_a_low_port);
	tcase_add_test(tests, a_reload_says_why_it_cannot_bind_a_low_port);
	tcase_add_test(tests, paths_are_the_users);
	tcase_add_test(tests, a_path_in_a_folder_of_root_is_replaced);
	tcase_add_test(tests, unix_datagrams_are_answered);
	tcase_add_loop_test(tests, who_it_cannot_become, 0, COUNT(refused));
	tcase_add_loop_test(tests, root_is_warned_of, 0, COUNT(starts));
	tcase_add_test(tests, http_moves_to_all_addresses_of_its_port);
	tcase_add_test(tests, a_listener_of_root_is_opened_again);
	tcase_add_loop_test(tests, a_stored_socket_gets_siblings, 0,
	    COUNT(stored));
	tcase_add_test(tests, a_socket_that_stays_roots_is_served);
	suite_add_tcase(suite, tests);
	return suite;
}
