#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/client.h"
#include "harness/daemon.h"
#include "listen/acceptor.h"
#include "unit/suites.h"

#define ROOM 2

static struct listener_list listeners = TAILQ_HEAD_INITIALIZER(listeners);
static struct listener *listener;
static struct counters counters;
static struct acceptor acceptor;
static struct worker_pool pool;
static struct config *config;
static int port;

static void
start(void)
{
	struct listener_config wanted = {
		.protocol = PROTOCOL_TCP,
		.address = "127.0.0.1",
		.backlog = 10,
	};
	char error[LISTENER_ERROR_MAX];

	config = config_load(NULL, stderr);
	ck_assert_int_eq(worker_pool_start(&pool, config, ROOM), 0);
	ck_assert_int_eq(listener_resolve(&wanted, &listeners, 0, error), 0);
	listener = TAILQ_FIRST(&listeners);
	ck_assert_int_eq(listener_open(listener, NULL, error), 0);
	port = sockaddr_port(&listener->bound);
	acceptor = (struct acceptor){
		.epoll_fd = epoll_create1(EPOLL_CLOEXEC),
		.listeners = &listeners,
		.pool = &pool,
		.counters = &counters,
	};
	ck_assert_int_eq(acceptor_add(&acceptor, listener), 0);
}

static void
finish(void)
{
	struct counters sum = { 0 };
	struct conn_list left = TAILQ_HEAD_INITIALIZER(left);

	worker_pool_order(&pool, WORKER_ABORT);
	worker_pool_join(&pool, &sum, &left);
	ck_assert(TAILQ_EMPTY(&left));
	listener_free_all(&listeners);
	close(acceptor.epoll_fd);
	config_free(config);
}

static bool
is_watched(void)
{
	struct epoll_event event;

	return epoll_wait(acceptor.epoll_fd, &event, 1, 0) == 1;
}

START_TEST(accepts_all_who_wait)
{
	int a = client_tcp(port), b = client_tcp(port);

	ck_assert(is_watched());
	ck_assert(!acceptor_is_paused(&acceptor));
	acceptor_accept(&acceptor, listener);
	client_talk(a, "hello");
	client_talk(b, "hello");
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 2);
	close(a);
	close(b);
}
END_TEST

START_TEST(tells_when_no_one_is_left)
{
	int a = client_tcp(port);

	ck_assert(!acceptor_accept(&acceptor, listener));
	ck_assert(!acceptor_accept(&acceptor, listener));
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 1);
	close(a);
}
END_TEST

START_TEST(pauses_when_full_and_goes_on_with_room)
{
	int a = client_tcp(port), b = client_tcp(port), c = client_tcp(port);

	ck_assert(acceptor_accept(&acceptor, listener));
	ck_assert(acceptor_is_paused(&acceptor));
	ck_assert(!is_watched());
	ck_assert_int_eq(acceptor_wait_ms(&acceptor, clock_ms()), -1);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPT_PAUSES), 1);
	client_talk(a, "hello");
	close(a);
	struct pollfd room = { .fd = pool.slots.room_fd, .events = POLLIN };
	ck_assert_int_eq(poll(&room, 1, -1), 1);
	acceptor_note_room(&acceptor);
	ck_assert(is_watched());
	acceptor_accept(&acceptor, listener);
	client_talk(c, "hello");
	close(b);
	close(c);
}
END_TEST

/* A listener that comes while accepting pauses takes part from then on. */
START_TEST(a_listener_added_in_a_pause_is_watched_after_it)
{
	acceptor.resume_ms = 1;
	ck_assert_int_eq(epoll_ctl(acceptor.epoll_fd, EPOLL_CTL_DEL,
			     listener->fd, NULL),
	    0);
	int a = client_tcp(port);
	ck_assert_int_eq(acceptor_add(&acceptor, listener), 0);
	ck_assert(!is_watched());
	acceptor_note_time(&acceptor, clock_ms());
	ck_assert(is_watched());
	close(a);
}
END_TEST

START_TEST(pauses_without_file_descriptors)
{
	struct rlimit before, none;

	if (!daemon_is_bare())
		return;
	int a = client_tcp(port);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert(acceptor_accept(&acceptor, listener));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert(acceptor_is_paused(&acceptor));
	ck_assert(!is_watched());
	uint64_t now_ms = clock_ms();
	ck_assert_int_ge(acceptor_wait_ms(&acceptor, now_ms - 1), 1);
	acceptor_note_time(&acceptor, now_ms + 1000);
	ck_assert(!acceptor_is_paused(&acceptor));
	ck_assert(!acceptor_accept(&acceptor, listener));
	client_talk(a, "hello");
	close(a);
}
END_TEST

/* accept(2) says of a datagram socket what it may say of one client. */
START_TEST(pauses_when_every_client_fails)
{
	int fd = listener->fd, a = client_tcp(port);

	listener->fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert(acceptor_accept(&acceptor, listener));
	close(listener->fd);
	listener->fd = fd;
	ck_assert_uint_gt(counters_get(&counters, COUNTER_ACCEPT_ERRORS), 1);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPT_PAUSES), 1);
	ck_assert(acceptor_is_paused(&acceptor));
	acceptor_note_time(&acceptor, clock_ms() + 1000);
	ck_assert(!acceptor_accept(&acceptor, listener));
	client_talk(a, "hello");
	close(a);
}
END_TEST

Suite *
acceptor_suite(void)
{
	Suite *suite = suite_create("acceptor");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_test(tests, accepts_all_who_wait);
	tcase_add_test(tests, tells_when_no_one_is_left);
	tcase_add_test(tests, pauses_when_full_and_goes_on_with_room);
	tcase_add_test(tests, a_listener_added_in_a_pause_is_watched_after_it);
	tcase_add_test(tests, pauses_without_file_descriptors);
	tcase_add_test(tests, pauses_when_every_client_fails);
	suite_add_tcase(suite, tests);
	return suite;
}
