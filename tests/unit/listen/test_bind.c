#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/scratch.h"
#include "unit/listen/fixture.h"
#include "unit/suites.h"

#define CLIENTS 64
#define NOBODY 65534

static void
assert_refused(struct listener *listener, int problem, const char *message)
{
	ck_assert_int_eq(listener_open(listener, NULL, error), -1);
	ck_assert_int_eq(errno, problem);
	ck_assert_str_eq(error, message);
	listener_free(listener);
}

START_TEST(names_carry_the_real_port)
{
	static const struct {
		enum protocol protocol;
		const char *address, *format;
	} cases[] = {
		{ PROTOCOL_TCP, "127.0.0.1", "tcp 127.0.0.1:%u" },
		{ PROTOCOL_UDP, "::1", "udp [::1]:%u" },
		{ PROTOCOL_TCP, "*", "tcp *:%u" },
		{ PROTOCOL_UDP, "*", "udp *:%u" },
	};
	char expected[LISTENER_NAME_MAX];
	struct listener *listener = open_one(cases[_i].protocol,
	    cases[_i].address, 0);

	ck_assert_uint_ne(sockaddr_port(&listener->bound), 0);
	snprintf(expected, sizeof(expected), cases[_i].format,
	    sockaddr_port(&listener->bound));
	ck_assert_str_eq(listener->name, expected);
	listener_free(listener);
}
END_TEST

START_TEST(an_address_in_use_is_refused)
{
	char expected[256];
	struct listener *first = open_one(PROTOCOL_TCP, "127.0.0.1", 0);
	int port = sockaddr_port(&first->bound);

	snprintf(expected, sizeof(expected),
	    "file:3: tcp 127.0.0.1:%d: bind: Address already in use; another "
	    "process has this address (ss -lnp tells), stop it or choose "
	    "another port",
	    port);
	assert_refused(resolve_one(PROTOCOL_TCP, "127.0.0.1", port), EADDRINUSE,
	    expected);
	listener_free(first);
	/* SO_REUSEADDR */
	listener_free(open_one(PROTOCOL_TCP, "127.0.0.1", port));
}
END_TEST

START_TEST(a_foreign_address_is_refused)
{
	assert_refused(resolve_one(PROTOCOL_UDP, "198.51.100.1", 9),
	    EADDRNOTAVAIL,
	    "file:3: udp 198.51.100.1:9: bind: Cannot assign requested "
	    "address; "
	    "this host has no such address");
}
END_TEST

START_TEST(a_unix_path_has_its_mode_and_goes)
{
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	struct listener *wanted = resolve_one(PROTOCOL_UNIX, "sock", 0);
	struct stat status;

	ck_assert_str_eq(listener->name, "unix sock");
	ck_assert(!listener->dual_stack);
	ck_assert_int_eq(stat("sock", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0640);
	wanted->config.mode = 0600;
	listener_update(listener, wanted);
	ck_assert_int_eq(stat("sock", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	listener_free(wanted);
	listener_free(listener);
	ck_assert_int_eq(stat("sock", &status), -1);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_a_live_one_is_not)
{
	enum protocol protocol = (enum protocol)_i;
	char expected[256];

	if (!protocol_is_unix(protocol))
		return;
	struct listener *first = open_one(protocol, "sock", 0);
	snprintf(expected, sizeof(expected),
	    "file:3: %s sock: another process serves this socket; stop it or "
	    "choose another path",
	    protocol_name(protocol));
	assert_refused(resolve_one(protocol, "sock", 0), EADDRINUSE, expected);
	/* As after a crash: the path stays. */
	first->inode = 0;
	listener_free(first);
	ck_assert_int_eq(access("sock", F_OK), 0);
	listener_free(open_one(protocol, "sock", 0));
	ck_assert_int_eq(access("sock", F_OK), -1);
}
END_TEST

START_TEST(a_missing_folder_is_named)
{
	assert_refused(resolve_one(PROTOCOL_UNIX, "missing/sock", 0), ENOENT,
	    "file:3: unix missing/sock: bind: No such file or directory; the "
	    "folder of this path is missing");
}
END_TEST

START_TEST(a_file_is_not_replaced)
{
	scratch_write("sock", "precious");
	assert_refused(resolve_one(PROTOCOL_UNIX, "sock", 0), EADDRINUSE,
	    "file:3: unix sock: there is a file that is not a socket; remove "
	    "it or "
	    "choose another path");
	ck_assert_int_eq(access("sock", F_OK), 0);
}
END_TEST

START_TEST(a_successors_path_stays)
{
	struct listener *first = open_one(PROTOCOL_UNIX, "sock", 0);

	ck_assert_int_eq(unlink("sock"), 0);
	struct listener *second = open_one(PROTOCOL_UNIX, "sock", 0);
	listener_free(first);
	ck_assert_int_eq(access("sock", F_OK), 0);
	listener_free(second);
}
END_TEST

START_TEST(siblings_share_the_address_that_the_first_got)
{
	struct listener_config config = configured(PROTOCOL_UDP, "127.0.0.1",
	    0);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	struct listener *listener, *first = NULL;
	int count = 0;

	config.threads = 3;
	ck_assert_int_eq(listener_resolve(&config, &list, NO_DEADLINE, error),
	    0);
	TAILQ_FOREACH (listener, &list, link) {
		ck_assert_int_eq(listener->number, count++);
		ck_assert_msg(listener_open(listener, first, error) == 0, "%s",
		    error);
		if (first == NULL)
			first = listener;
		ck_assert_str_eq(listener->name, first->name);
	}
	ck_assert_int_eq(count, 3);
	/* No one else's: neither a sibling of theirs nor one that shares. */
	struct listener *other = resolve_one(PROTOCOL_UDP, "127.0.0.1",
	    sockaddr_port(&first->bound));
	ck_assert_int_eq(listener_open(other, NULL, error), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	listener_free(other);
	listener_free_all(&list);
}
END_TEST

/* Queued ones stay; later ones, of any client, reach the other sibling. */
START_TEST(a_diverted_socket_gets_no_more_datagrams)
{
	static const char *const addresses[] = { "127.0.0.1", "*", "::1" };
	struct listener_config config = configured(PROTOCOL_UDP, addresses[_i],
	    0);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	int clients[2 * CLIENTS];
	char byte;

	config.threads = 2;
	ck_assert_int_eq(listener_resolve(&config, &list, NO_DEADLINE, error),
	    0);
	struct listener *first = TAILQ_FIRST(&list);
	struct listener *second = TAILQ_NEXT(first, link);
	ck_assert_int_eq(listener_open(first, NULL, error), 0);
	ck_assert_int_eq(listener_open(second, first, error), 0);
	for (int i = 0; i < 2 * CLIENTS; i++) {
		if (i == CLIENTS)
			listener_divert(second);
		clients[i] = socket(first->bound.any.sa_family, SOCK_DGRAM, 0);
		byte = i < CLIENTS ? 'q' : 'l';
		ck_assert_int_eq(sendto(clients[i], &byte, 1, 0,
				     &first->bound.any, first->bound.len),
		    1);
	}
	int queued = 0, count = 0;
	for (; recv(second->fd, &byte, 1, 0) == 1; queued++)
		ck_assert_int_eq(byte, 'q');
	ck_assert_int_gt(queued, 0);
	while (recv(first->fd, &byte, 1, 0) == 1)
		count++;
	ck_assert_int_eq(count, 2 * CLIENTS - queued);
	for (int i = 0; i < 2 * CLIENTS; i++)
		close(clients[i]);
	listener_free_all(&list);
}
END_TEST

/* As a listener that drains does. */
START_TEST(a_draining_listener_is_no_obstacle)
{
	static const struct {
		enum protocol protocol;
		const char *draining, *next;
	} cases[] = {
		{ PROTOCOL_TCP, "*", "127.0.0.1" },
		{ PROTOCOL_TCP, "127.0.0.1", "*" },
		{ PROTOCOL_TCP, "127.0.0.1", "127.0.0.1" },
		{ PROTOCOL_UDP, "*", "127.0.0.1" },
		{ PROTOCOL_UDP, "127.0.0.1", "*" },
	};
	enum protocol protocol = cases[_i].protocol;
	struct listener *first = open_one(protocol, cases[_i].draining, 0);
	int port = sockaddr_port(&first->bound);
	struct listener *next = resolve_one(protocol, cases[_i].next, port);
	int waiting = protocol == PROTOCOL_TCP ? connect_to(first) : -1;

	listener_drain(first);
	ck_assert_int_eq(listener_open(next, NULL, error), -1);
	ck_assert_int_eq(errno, EADDRINUSE);
	ck_assert_msg(listener_open(next, first, error) == 0, "%s", error);
	ck_assert_int_eq(sockaddr_port(&next->bound), port);
	if (protocol == PROTOCOL_TCP) {
		int accepted = accept(first->fd, NULL, NULL);
		ck_assert_int_ne(accepted, -1);
		close(accepted);
		close(waiting);
	}
	listener_free(first);
	listener_free(next);
}
END_TEST

START_TEST(a_draining_path_is_free)
{
	struct listener *first = open_one(PROTOCOL_UNIX, "sock", 0);
	int waiting = connect_to(first);

	listener_drain(first);
	struct listener *next = open_one(PROTOCOL_UNIX_DGRAM, "sock", 0);
	int accepted = accept(first->fd, NULL, NULL);
	ck_assert_int_ne(accepted, -1);
	listener_free(first);
	ck_assert_int_eq(access("sock", F_OK), 0);
	listener_free(next);
	close(accepted);
	close(waiting);
}
END_TEST

static void
put_at_sock(int i)
{
	ck_assert_int_eq(unlink("sock"), 0);
	if (i == 0)
		ck_assert_int_eq(symlink("file", "sock"), 0);
	else if (i == 1)
		ck_assert_int_eq(link("file", "sock"), 0);
	else if (i == 2)
		ck_assert_int_eq(symlink("victim", "sock"), 0);
	else
		ck_assert_int_eq(link("victim", "sock"), 0);
}

/* The owner of the folder put it at the path; 4: already when it was noted. */
START_TEST(the_mode_of_another_file_stays)
{
	struct listener *victim = open_one(PROTOCOL_UNIX_DGRAM, "victim", 0);
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	struct listener *wanted = resolve_one(PROTOCOL_UNIX, "sock", 0);
	struct stat status;

	scratch_write("file", "secret");
	ck_assert_int_eq(chmod("file", 0600), 0);
	ck_assert_int_eq(chmod("victim", 0600), 0);
	put_at_sock(_i);
	if (_i == 4)
		listener_note_path(listener);
	wanted->config.mode = 0666;
	ck_assert_int_eq(listener_update(listener, wanted), -1);
	ck_assert_int_eq(errno, ESTALE);
	ck_assert_uint_eq(listener->config.mode, 0640);
	ck_assert_int_eq(stat("file", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	ck_assert_int_eq(stat("victim", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	listener_free(listener);
	ck_assert_int_eq(access("victim", F_OK), 0);
	ck_assert_int_eq(access("file", F_OK), 0);
	listener_free(wanted);
	listener_free(victim);
}
END_TEST

/* One to which this process may not connect. */
START_TEST(a_socket_that_may_serve_others_stays)
{
	struct listener *theirs = open_one(PROTOCOL_UNIX, "sock", 0);
	bool is_root = geteuid() == 0;

	ck_assert_int_eq(chmod(".", 0777), 0);
	ck_assert_int_eq(chmod("sock", 0), 0);
	ck_assert(!is_root || seteuid(NOBODY) == 0);
	assert_refused(resolve_one(PROTOCOL_UNIX, "sock", 0), EACCES,
	    "file:3: unix sock: there is a socket already; connecting to it "
	    "fails: Permission denied");
	ck_assert(!is_root || seteuid(0) == 0);
	listener_free(theirs);
}
END_TEST

START_TEST(the_owner_of_another_file_stays)
{
	struct listener *victim = open_one(PROTOCOL_UNIX_DGRAM, "victim", 0);
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	struct stat status;

	scratch_write("file", "secret");
	put_at_sock(_i);
	if (_i == 4)
		listener_note_path(listener);
	ck_assert_int_eq(listener_set_owner(listener, NOBODY, NOBODY), -1);
	ck_assert_int_eq(errno, ESTALE);
	ck_assert_int_eq(stat("file", &status), 0);
	ck_assert_uint_eq(status.st_uid, geteuid());
	ck_assert_int_eq(stat("victim", &status), 0);
	ck_assert_uint_eq(status.st_uid, geteuid());
	listener_free(listener);
	listener_free(victim);
}
END_TEST

Suite *
bind_suite(void)
{
	Suite *suite = suite_create("bind");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, names_carry_the_real_port, 0, 4);
	tcase_add_test(tests, an_address_in_use_is_refused);
	tcase_add_test(tests, a_foreign_address_is_refused);
	tcase_add_test(tests, a_unix_path_has_its_mode_and_goes);
	tcase_add_loop_test(tests, a_stale_socket_is_replaced_a_live_one_is_not,
	    0, PROTOCOL_COUNT);
	tcase_add_test(tests, a_missing_folder_is_named);
	tcase_add_test(tests, a_file_is_not_replaced);
	tcase_add_test(tests, a_socket_that_may_serve_others_stays);
	tcase_add_test(tests, a_successors_path_stays);
	tcase_add_test(tests, siblings_share_the_address_that_the_first_got);
	tcase_add_loop_test(tests, a_diverted_socket_gets_no_more_datagrams, 0,
	    3);
	tcase_add_loop_test(tests, a_draining_listener_is_no_obstacle, 0, 5);
	tcase_add_test(tests, a_draining_path_is_free);
	tcase_add_loop_test(tests, the_mode_of_another_file_stays, 0, 5);
	tcase_add_loop_test(tests, the_owner_of_another_file_stays, 0, 5);
	suite_add_tcase(suite, tests);
	return suite;
}
