#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/caught.h"
#include "harness/client.h"
#include "harness/daemon.h"
#include "listen/acceptor.h"
#include "unit/suites.h"

#define ROOM 2
#define QUEUE 8

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

	ck_assert_int_eq(config_load(&config, &(struct config_source){ 0 },
			     stderr),
	    0);
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
	struct conn_list handed_over = TAILQ_HEAD_INITIALIZER(handed_over);

	worker_pool_order(&pool, WORKER_ABORT);
	worker_pool_join(&pool, &sum, &handed_over);
	ck_assert(TAILQ_EMPTY(&handed_over));
	listener_free_all(&listeners);
	close(acceptor.epoll_fd);
	config_free(config);
}

static bool
is_reported(void)
{
	struct epoll_event event;

	return epoll_wait(acceptor.epoll_fd, &event, 1, 0) == 1;
}

static void
accept_all(void)
{
	while (acceptor_accept(&acceptor, listener) && acceptor.resume_ms == 0)
		;
}

START_TEST(accepts_every_client_that_waits)
{
	int a = client_tcp(port), b = client_tcp(port);

	ck_assert(is_reported());
	ck_assert(acceptor.resume_ms == 0);
	ck_assert(acceptor_accept(&acceptor, listener));
	ck_assert(acceptor_accept(&acceptor, listener));
	client_talk(a, "hello");
	client_talk(b, "hello");
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 2);
	close(a);
	close(b);
}
END_TEST

START_TEST(tells_when_no_client_waits)
{
	int a = client_tcp(port);

	ck_assert(acceptor_accept(&acceptor, listener));
	ck_assert(!acceptor_accept(&acceptor, listener));
	ck_assert(!acceptor_accept(&acceptor, listener));
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 1);
	close(a);
}
END_TEST

/* What waits for such a listener to end gets no other event. */
START_TEST(a_listener_that_drains_is_emptied_by_one_call)
{
	int a = client_tcp(port);

	listener->state = LISTENER_DRAINING;
	ck_assert(!acceptor_accept(&acceptor, listener));
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 1);
	client_talk(a, "hello");
	close(a);
}
END_TEST

/* The first call takes one client, later ones all of a queue. */
START_TEST(batches_grow_with_the_queue)
{
	int clients[QUEUE];
	unsigned calls = 0;

	worker_pool_set_max(&pool, 2 * QUEUE);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < QUEUE; i++)
			clients[i] = client_tcp(port);
		for (calls = 0; is_reported(); calls++)
			acceptor_accept(&acceptor, listener);
		for (int i = 0; i < QUEUE; i++) {
			client_talk(clients[i], "hello");
			close(clients[i]);
		}
		while (worker_pool_connections(&pool) != 0)
			sched_yield();
	}
	ck_assert_uint_le(calls, 3);
}
END_TEST

/* A try for a second client is the exception. */
START_TEST(single_clients_take_one_accept_each)
{
	unsigned empty = 0;

	for (int i = 0; i < 100; i++) {
		int a = client_tcp(port);
		ck_assert(is_reported());
		empty += !acceptor_accept(&acceptor, listener);
		client_talk(a, "hello");
		close(a);
		while (worker_pool_connections(&pool) != 0)
			sched_yield();
	}
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPTED), 100);
	ck_assert_uint_ge(empty, 1);
	ck_assert_uint_le(empty, 10);
}
END_TEST

START_TEST(pauses_when_full_and_goes_on_with_room)
{
	int a = client_tcp(port), b = client_tcp(port), c = client_tcp(port);

	accept_all();
	ck_assert(acceptor.resume_ms != 0);
	ck_assert(!is_reported());
	ck_assert_int_eq(acceptor_wait_ms(&acceptor, clock_ms()), -1);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPT_PAUSES), 1);
	client_talk(a, "hello");
	close(a);
	struct pollfd room = { .fd = pool.shared.room_fd, .events = POLLIN };
	ck_assert_int_eq(poll(&room, 1, -1), 1);
	acceptor_note_room(&acceptor);
	ck_assert(is_reported());
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
	ck_assert(!is_reported());
	acceptor_note_time(&acceptor, clock_ms());
	ck_assert(is_reported());
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
	ck_assert(acceptor.resume_ms != 0);
	ck_assert(!is_reported());
	uint64_t now_ms = clock_ms();
	ck_assert_int_ge(acceptor_wait_ms(&acceptor, now_ms - 1), 1);
	acceptor_note_time(&acceptor, now_ms + 1000);
	ck_assert(acceptor.resume_ms == 0);
	accept_all();
	client_talk(a, "hello");
	close(a);
}
END_TEST

/* What clients can cause often is not logged as often. */
START_TEST(a_pause_is_logged_once_a_minute)
{
	static const int lines[] = { 1, 0, 1, 0 };
	int fd = listener->fd;

	caught_begin();
	listener->fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (int i = 0; i < 4; i++) {
		accept_all();
		ck_assert_int_eq(caught_lines(), lines[i]);
		acceptor_note_time(&acceptor, acceptor.resume_ms);
		if (i == 1)
			acceptor.logged_ms[0] = clock_ms() - 60000;
	}
	caught_end();
	close(listener->fd);
	listener->fd = fd;
}
END_TEST

/* accept(2) says of a datagram socket what it may say of one client. */
START_TEST(pauses_when_every_client_fails)
{
	int fd = listener->fd, a = client_tcp(port);

	listener->fd = socket(AF_INET, SOCK_DGRAM, 0);
	accept_all();
	close(listener->fd);
	listener->fd = fd;
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPT_ERRORS), 128);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_ACCEPT_PAUSES), 1);
	ck_assert(acceptor.resume_ms != 0);
	acceptor_note_time(&acceptor, clock_ms() + 1000);
	accept_all();
	client_talk(a, "hello");
	close(a);
}
END_TEST

/* What a connection of another process gets, which has its address alone. */
static uint16_t
count_restored(void)
{
	int client = client_tcp(port);
	int fd = accept(listener->fd, NULL, NULL);
	struct conn *conn = conn_new(fd, PROTOCOL_TCP, FRAMING_CHUNK,
	    clock_ms());

	ck_assert_ptr_nonnull(conn);
	acceptor_count(&acceptor, conn);
	uint16_t profile = conn->profile;
	close(client);
	conn_close(conn, &counters, CLOSE_STOP, clock_ms());
	return profile;
}

START_TEST(a_restored_connection_finds_its_listener)
{
	struct listener_config wanted = { .protocol = PROTOCOL_TCP,
		.address = "*" };
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	char error[LISTENER_ERROR_MAX];

	ck_assert_int_eq(listener_resolve(&wanted, &listeners, 0, error), 0);
	struct listener *other = TAILQ_NEXT(listener, link);
	ck_assert_ptr_nonnull(other);
	other->bound.in6 = any;
	listener->profile = 1;
	other->profile = 2;
	ck_assert_uint_eq(count_restored(), 1);
	/* As if it had accepted all addresses of IPv4. */
	listener->bound.in.sin_addr.s_addr = INADDR_ANY;
	ck_assert_uint_eq(count_restored(), 1);
	TAILQ_REMOVE(&listeners, other, link);
	TAILQ_INSERT_HEAD(&listeners, other, link);
	ck_assert_uint_eq(count_restored(), 1);
	/* Neither is that of another port its own. */
	listener->bound.in.sin_port++;
	ck_assert_uint_eq(count_restored(), 0);
}
END_TEST

Suite *
acceptor_suite(void)
{
	Suite *suite = suite_create("acceptor");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_test(tests, accepts_every_client_that_waits);
	tcase_add_test(tests, tells_when_no_client_waits);
	tcase_add_test(tests, a_listener_that_drains_is_emptied_by_one_call);
	tcase_add_test(tests, batches_grow_with_the_queue);
	tcase_add_test(tests, single_clients_take_one_accept_each);
	tcase_add_test(tests, pauses_when_full_and_goes_on_with_room);
	tcase_add_test(tests, a_listener_added_in_a_pause_is_watched_after_it);
	tcase_add_test(tests, pauses_without_file_descriptors);
	tcase_add_test(tests, a_pause_is_logged_once_a_minute);
	tcase_add_test(tests, pauses_when_every_client_fails);
	tcase_add_test(tests, a_restored_connection_finds_its_listener);
	suite_add_tcase(suite, tests);
	return suite;
}
