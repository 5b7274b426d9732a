#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define STRANGER 4711 /* the number of another user */

static struct daemon server;
static char folder[64];

static const char *
configured(const char *more)
{
	static char config[256];

	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"unix-dgram\"; path = "
	    "\"%s/dgram\"; %s } );\n",
	    folder, more);
	return config;
}

static void
start(void)
{
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	daemon_start_config(&server, configured(""));
}

static void
stop(void)
{
	daemon_stop(&server);
}

/* Returns the address of a socket in the scratch folder. */
static struct sockaddr_un
path_of(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = (size_t)snprintf(address.sun_path,
	    sizeof(address.sun_path), "%s/%s", folder, name);

	ck_assert_uint_lt(len, sizeof(address.sun_path));
	return address;
}

static int
bound_at(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)address,
			     sizeof(*address)),
	    0);
	return fd;
}

static int
client_at(const struct sockaddr_un *address)
{
	struct sockaddr_un to = path_of("dgram");
	int fd = bound_at(address);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* By which counter depends on what the kernel has in its cache. */
static void
await_drop(void)
{
	while (daemon_counter(&server, "dropped_send") +
		   daemon_counter(&server, "dropped_port") ==
	       0)
		;
}

static void
assert_not_answered(int victim)
{
	char byte;

	await_drop();
	ck_assert_uint_eq(daemon_counter(&server, "unix-dgram_messages_out"),
	    0);
	ck_assert_int_eq(recv(victim, &byte, 1, MSG_DONTWAIT), -1);
}

/* The server receives their datagrams as one batch. */
START_TEST(clients_with_a_path_are_answered)
{
	char longest[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct sockaddr_un addresses[2] = { path_of("client") };
	int fds[2];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - strlen(folder) - 2] = '\0';
	addresses[1] = path_of(longest);
	for (int i = 0; i < 2; i++)
		fds[i] = client_at(&addresses[i]);
	int before = daemon_open_files(&server);
	daemon_pause(&server);
	for (int i = 0; i < 8; i++)
		client_send(fds[i / 2 % 2], "hello", 5);
	daemon_signal(&server, SIGCONT);
	for (int i = 0; i < 8; i++)
		client_expect_datagram(fds[i / 2 % 2], "hello", 5);
	daemon_await_counter(&server, "unix-dgram_messages_out", 8);
	/* The server closes the clients' folders after it has sent the replies. */
	while (daemon_open_files(&server) != before)
		;
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* The server would look the name up in its own working directory. */
START_TEST(a_relative_name_is_not_answered)
{
	struct sockaddr_un address = { AF_UNIX, "client" };
	int fd = client_at(&address);

	client_send(fd, "hello", 5);
	assert_not_answered(fd);
	close(fd);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	struct sockaddr_un theirs = path_of("victim"), own = path_of("client");
	int victim = bound_at(&theirs), fd = client_at(&own);

	ck_assert_int_eq(unlink("client"), 0);
	ck_assert_int_eq(symlink("victim", "client"), 0);
	client_send(fd, "hello", 5);
	assert_not_answered(victim);
	close(victim);
	close(fd);
}
END_TEST

/* In the server it leads elsewhere than in the client. */
START_TEST(a_magic_link_is_not_followed)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char byte;

	snprintf(address.sun_path, sizeof(address.sun_path),
	    "/proc/self/cwd/client");
	int fd = client_at(&address);
	client_send(fd, "hello", 5);
	await_drop();
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	close(fd);
}
END_TEST

static int
abstract_client(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct sockaddr_un to = path_of("dgram");
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name,
			     sizeof(sa_family_t)),
	    0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Whose a name is can't be seen, so the reply may reach another client. */
START_TEST(an_abstract_name_is_answered_if_configured)
{
	int fd = abstract_client();
	char byte;

	client_send(fd, "hello", 5);
	daemon_await_counter(&server, "dropped_abstract", 1);
	daemon_reload(&server, configured("abstract_clients = true;"),
	    "reloaded");
	client_talk(fd, "hello");
	daemon_reload(&server, configured("abstract_clients = false;"),
	    "reloaded");
	client_send(fd, "hello", 5);
	daemon_await_counter(&server, "dropped_abstract", 2);
	ck_assert_int_eq(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	close(fd);
}
END_TEST

/* Binds a socket, then replaces its folder by a link to the victim's folder. */
static void
attack(void)
{
	struct sockaddr_un own = path_of("open/door/victim");

	if (setgid(STRANGER) == -1 || setuid(STRANGER) == -1 ||
	    mkdir("open/door", 0755) == -1)
		_exit(1);
	int fd = client_at(&own);
	if (rename("open/door", "open/moved") == -1 ||
	    symlink(folder, "open/door") == -1 || send(fd, "x", 1, 0) != 1)
		_exit(1);
	_exit(0);
}

START_TEST(the_socket_of_another_user_is_not_answered)
{
	struct sockaddr_un theirs = path_of("victim");
	int victim, status;

	if (geteuid() != 0) {
		puts("skipped: this user may not become another");
		return;
	}
	victim = bound_at(&theirs);
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(mkdir("open", 0755), 0);
	ck_assert_int_eq(chmod("open", 0777), 0);
	pid_t attacker = fork();
	if (attacker == 0)
		attack();
	ck_assert_int_eq(waitpid(attacker, &status, 0), attacker);
	ck_assert_int_eq(status, 0);
	assert_not_answered(victim);
	close(victim);
}
END_TEST

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

/* Sends a datagram as another user, from a path of that user. */
static void
send_as_stranger(void)
{
	struct sockaddr_un own = path_of("open/client");

	if (setgid(STRANGER) == -1 || setuid(STRANGER) == -1)
		_exit(1);
	int fd = client_at(&own);
	_exit(send(fd, "x", 1, 0) == 1 ? 0 : 1);
}

/* Where files and senders without a number here are shown as this user. */
START_TEST(the_overflow_user_is_not_answered)
{
	static const char hidden[] = "/proc/sys/kernel/overflowuid";
	int status;

	if (unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1) {
		puts("skipped: this user may not mount");
		return;
	}
	scratch_write("number", "4711\n");
	ck_assert_int_eq(mount("number", hidden, NULL, MS_BIND, NULL), 0);
	start();
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(mkdir("open", 0755), 0);
	ck_assert_int_eq(chmod("open", 0777), 0);
	pid_t stranger = fork();
	if (stranger == 0)
		send_as_stranger();
	ck_assert_int_eq(waitpid(stranger, &status, 0), stranger);
	ck_assert_int_eq(status, 0);
	daemon_await_counter(&server, "dropped_port", 1);
	stop();
	ck_assert_int_eq(umount(hidden), 0);
}
END_TEST

/* As under PrivateUsers=: a namespace in which root alone has a number. */
START_TEST(few_users_are_warned_of)
{
	const char *warning = "answers root alone, because PrivateUsers=";

	if (geteuid() != 0 || unshare(CLONE_NEWUSER) == -1) {
		puts("skipped: no user namespaces here");
		return;
	}
	write_file("/proc/self/uid_map", "0 0 1\n");
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	daemon_start_config(&server, configured("abstract_clients = true;"));
	ck_assert_ptr_null(strstr(server.log, warning));
	stop();
	daemon_start_config(&server, configured(""));
	ck_assert_ptr_nonnull(strstr(server.log, warning));
	struct sockaddr_un own = path_of("client");
	int fd = client_at(&own);
	client_talk(fd, "hello");
	close(fd);
	stop();
}
END_TEST

Suite *
unix_peer_suite(void)
{
	Suite *suite = suite_create("unix_peer");
	TCase *tests = tcase_create("all");
	TCase *namespaces = tcase_create("namespaces");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, clients_with_a_path_are_answered);
	tcase_add_test(tests, a_relative_name_is_not_answered);
	tcase_add_test(tests, a_link_is_not_followed);
	tcase_add_test(tests, a_magic_link_is_not_followed);
	tcase_add_test(tests, an_abstract_name_is_answered_if_configured);
	tcase_add_test(tests, the_socket_of_another_user_is_not_answered);
	suite_add_tcase(suite, tests);
	tcase_set_timeout(namespaces, 120);
	tcase_add_checked_fixture(namespaces, scratch_enter, scratch_leave);
	tcase_add_test(namespaces, the_overflow_user_is_not_answered);
	tcase_add_test(namespaces, few_users_are_warned_of);
	suite_add_tcase(suite, namespaces);
	return suite;
}
