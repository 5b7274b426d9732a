#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/scratch.h"
#include "net/sockopt.h"
#include "unit/listen/fixture.h"
#include "unit/suites.h"

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

START_TEST(each_thread_has_a_listener)
{
	struct listener_config config = configured(PROTOCOL_UDP, "127.0.0.1",
	    9);
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	const struct listener *listener;
	int number = 0;

	config.threads = 3;
	ck_assert_int_eq(listener_resolve(&config, &list, NO_DEADLINE, error),
	    0);
	TAILQ_FOREACH (listener, &list, link) {
		ck_assert_int_eq(listener->state, LISTENER_NEW);
		ck_assert_int_eq(listener->number, number++);
		ck_assert_str_eq(listener->name, "udp 127.0.0.1:9");
	}
	ck_assert_int_eq(number, 3);
	listener_free_all(&list);
}
END_TEST

START_TEST(an_open_one_takes_over_settings)
{
	struct listener *listener = open_one(PROTOCOL_UDP, "127.0.0.1", 0);
	struct listener *wanted = resolve_one(PROTOCOL_UDP, "127.0.0.1", 0);

	wanted->config.max_datagram = 9000;
	wanted->config.threads = 3;
	ck_assert_int_eq(listener_update(listener, wanted), 0);
	ck_assert_int_eq(listener->config.max_datagram, 9000);
	ck_assert_int_eq(listener->config.threads, 3);
	/* Not while it serves. */
	listener->state = LISTENER_SERVING;
	wanted->config.threads = 1;
	ck_assert_int_eq(listener_update(listener, wanted), 0);
	ck_assert_int_eq(listener->config.threads, 3);
	ck_assert_int_eq(listener_update(listener, NULL), 0);
	ck_assert_int_eq(listener->config.max_datagram, 1400);
	listener_free(wanted);
	listener_free(listener);
}
END_TEST

/* In the kernel the size is twice what was asked for. */
static void
assert_receive_buffer(const struct listener *listener, int bytes)
{
	int client = connect_to(listener);
	int accepted = accept(listener->fd, NULL, NULL);

	ck_assert_int_ne(accepted, -1);
	ck_assert_int_eq(sockopt_get(accepted, SOL_SOCKET, SO_RCVBUF),
	    2 * bytes);
	ck_assert_int_eq(sockopt_get(accepted, SOL_SOCKET, SO_SNDBUF),
	    2 * bytes);
	close(accepted);
	close(client);
}

START_TEST(a_connection_inherits_its_buffers)
{
	struct listener *listener = open_one(PROTOCOL_TCP, "127.0.0.1", 0);
	struct listener *wanted = resolve_one(PROTOCOL_TCP, "127.0.0.1", 0);

	listener->origin = (enum origin)_i;
	assert_receive_buffer(listener, 81920);
	wanted->config.receive_buffer = 65536;
	ck_assert_int_eq(listener_update(listener, wanted), 0);
	assert_receive_buffer(listener, 65536);
	ck_assert_int_eq(listener_update(listener, NULL), 0);
	assert_receive_buffer(listener, 81920);
	listener_free(wanted);
	listener_free(listener);
}
END_TEST

START_TEST(a_passed_one_keeps_what_its_unit_says)
{
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	struct listener *wanted = resolve_one(PROTOCOL_UNIX, "sock", 0);
	struct stat status;

	listener->origin = ORIGIN_PASSED;
	wanted->config.mode = 0600;
	wanted->config.framing = FRAMING_LINE;
	ck_assert_int_eq(listener_update(listener, wanted), 0);
	ck_assert_int_eq(listener->config.framing, FRAMING_LINE);
	ck_assert_int_eq(stat("sock", &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0640);
	listener_free(wanted);
	listener_free(listener);
}
END_TEST

/* Clients that came before are accepted, later ones are not let in. */
START_TEST(draining_keeps_who_is_in)
{
	struct listener *listener = _i == 0
	                              ? open_one(PROTOCOL_TCP, "127.0.0.1", 0)
	                              : open_one(PROTOCOL_UNIX, "sock", 0);
	int early = connect_to(listener);

	ck_assert_int_ne(early, -1);
	listener_drain(listener);
	if (_i == 0 && !client_is_kept_out(listener->fd))
		return;
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

Suite *
listener_suite(void)
{
	Suite *suite = suite_create("listener");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, an_unknown_host_is_refused);
	tcase_add_test(tests, a_host_that_takes_too_long_is_refused);
	tcase_add_test(tests, each_thread_has_a_listener);
	tcase_add_test(tests, an_open_one_takes_over_settings);
	tcase_add_loop_test(tests, a_connection_inherits_its_buffers, 0,
	    ORIGIN_PASSED + 1);
	tcase_add_test(tests, a_passed_one_keeps_what_its_unit_says);
	tcase_add_loop_test(tests, draining_keeps_who_is_in, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
