#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/scratch.h"
#include "listen/listener.h"
#include "unit/suites.h"

#define NO_DEADLINE UINT64_MAX

static char error[LISTENER_ERROR_MAX];

static struct listener_config
configured(enum protocol protocol, const char *address, int port)
{
	struct listener_config config = {
		.protocol = protocol,
		.port = port,
		.backlog = 5,
		.mode = 0640,
		.max_datagram = 1400,
		.threads = 1,
		.where = "file:3",
	};

	if (protocol_is_unix(protocol))
		snprintf(config.path, sizeof(config.path), "%s", address);
	else
		snprintf(config.address, sizeof(config.address), "%s", address);
	return config;
}

static struct listener *
resolve_one(enum protocol protocol, const char *address, int port)
{
	struct listener_config config = configured(protocol, address, port);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);

	ck_assert_msg(listener_resolve(&config, &list, NO_DEADLINE, error) == 0,
	    "%s", error);
	struct listener *listener = TAILQ_FIRST(&list);
	ck_assert_ptr_null(TAILQ_NEXT(listener, link));
	return listener;
}

static struct listener *
open_one(enum protocol protocol, const char *address, int port)
{
	struct listener *listener = resolve_one(protocol, address, port);

	ck_assert_msg(listener_open(listener, NULL, error) == 0, "%s", error);
	return listener;
}

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

START_TEST(an_unknown_host_is_refused)
{
	struct listener_config config = configured(PROTOCOL_TCP,
	    "no.such.host.invalid", 9);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	const char *start = "file:3: tcp no.such.host.invalid: host not found";

	ck_assert_int_eq(listener_resolve(&config, &list, NO_DEADLINE, error),
	    -1);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	ck_assert_mem_eq(error, start, strlen(start));
}
END_TEST

START_TEST(a_host_that_takes_too_long_is_refused)
{
	struct listener_config config = configured(PROTOCOL_UDP, "localhost",
	    9);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);

	ck_assert_int_eq(listener_resolve(&config, &list, 0, error), -1);
	ck_assert_int_eq(errno, EADDRNOTAVAIL);
	ck_assert_str_eq(error,
	    "file:3: udp localhost: name resolution took too long; see whether "
	    "the name servers in /etc/resolv.conf answer, or configure "
	    "addresses");
	ck_assert(TAILQ_EMPTY(&list));
}
END_TEST

START_TEST(a_unix_path_has_its_mode_and_goes)
{
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	struct listener *wanted = resolve_one(PROTOCOL_UNIX, "sock", 0);
	struct stat status;

	ck_assert_str_eq(listener->name, "unix sock");
	ck_assert_int_eq(stat("sock", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0640);
	wanted->mode = 0600;
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
	    "file:3: %s sock: the socket is served already; stop who does it "
	    "or choose another path",
	    protocol_name(protocol));
	assert_refused(resolve_one(protocol, "sock", 0), EADDRINUSE, expected);
	/* As after a crash: the path stays. */
	close(first->fd);
	first->fd = -1;
	listener_free(first);
	ck_assert_int_eq(access("sock", F_OK), 0);
	listener_free(open_one(protocol, "sock", 0));
	ck_assert_int_eq(access("sock", F_OK), -1);
}
END_TEST

START_TEST(a_file_is_not_replaced)
{
	scratch_write("sock", "precious");
	assert_refused(resolve_one(PROTOCOL_UNIX, "sock", 0), EADDRINUSE,
	    "file:3: unix sock: the path is taken by a file that is no socket; "
	    "remove it or choose another path");
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

static int
connect_to(const struct listener *listener)
{
	int fd = socket(listener->bound.any.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (connect(fd, &listener->bound.any, listener->bound.len) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

/* Who came before is accepted still, who comes after is not let in. */
START_TEST(refusing_keeps_who_is_in)
{
	struct listener *listener = _i == 0
	                              ? open_one(PROTOCOL_TCP, "127.0.0.1", 0)
	                              : open_one(PROTOCOL_UNIX, "sock", 0);
	int early = connect_to(listener);

	ck_assert_int_ne(early, -1);
	listener_drain(listener);
	int late = connect_to(listener);
	int accepted = accept(listener->fd, NULL, NULL);
	ck_assert_int_ne(accepted, -1);
	ck_assert_int_eq(accept(listener->fd, NULL, NULL), -1);
	ck_assert_int_eq(send(early, "x", 1, MSG_NOSIGNAL), 1);
	char byte;
	ck_assert_int_eq(recv(accepted, &byte, 1, 0), 1);
	close(accepted);
	close(early);
	if (late != -1)
		close(late);
	listener_free(listener);
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
		else
			ck_assert(listener_is_sibling(listener, first));
		ck_assert(!listener_is_sibling(listener, listener));
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

START_TEST(same_or_not)
{
	struct listener *a = resolve_one(PROTOCOL_TCP, "127.0.0.1", 9);
	struct listener *b = resolve_one(PROTOCOL_TCP, "127.0.0.1", 9);
	struct listener *c = resolve_one(PROTOCOL_UDP, "127.0.0.1", 9);
	struct listener *d = resolve_one(PROTOCOL_TCP, "*", 9);
	struct listener *e = resolve_one(PROTOCOL_TCP, "::", 9);

	ck_assert(listener_same(a, b));
	ck_assert(!listener_same(a, c));
	ck_assert(!listener_same(a, d));
	ck_assert(!listener_same(d, e));
	listener_free(a);
	listener_free(b);
	listener_free(c);
	listener_free(d);
	listener_free(e);
}
END_TEST

Suite *
listener_suite(void)
{
	Suite *suite = suite_create("listener");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, names_carry_the_real_port, 0, 4);
	tcase_add_test(tests, an_address_in_use_is_refused);
	tcase_add_test(tests, a_foreign_address_is_refused);
	tcase_add_test(tests, an_unknown_host_is_refused);
	tcase_add_test(tests, a_host_that_takes_too_long_is_refused);
	tcase_add_test(tests, a_unix_path_has_its_mode_and_goes);
	tcase_add_loop_test(tests, a_stale_socket_is_replaced_a_live_one_is_not,
	    0, PROTOCOL_COUNT);
	tcase_add_test(tests, a_file_is_not_replaced);
	tcase_add_test(tests, a_successors_path_stays);
	tcase_add_loop_test(tests, refusing_keeps_who_is_in, 0, 2);
	tcase_add_test(tests, siblings_share_the_address_that_the_first_got);
	tcase_add_test(tests, same_or_not);
	suite_add_tcase(suite, tests);
	return suite;
}
