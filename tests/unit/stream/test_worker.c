#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/client.h"
#include "stream/worker.h"
#include "stream/worker_pool.h"
#include "unit/suites.h"

#define SEVERAL 20
#define ROUNDS 5000

static struct slots slots;
static struct worker *worker;
static int done_fd;

static struct worker_settings
settings_of(const char *format, uint64_t idle_ms)
{
	struct worker_settings settings = { .idle_ms = idle_ms };

	ck_assert_int_eq(stamp_format_compile(&settings.stamp, format, NULL, 0),
	    0);
	return settings;
}

static void
start(void)
{
	struct worker_settings settings = settings_of("ctime", 0);

	ck_assert_int_eq(slots_init(&slots, 100), 0);
	done_fd = eventfd(0, EFD_CLOEXEC);
	worker = worker_start(0, &settings, &slots, done_fd);
	ck_assert_ptr_nonnull(worker);
}

static void
await_done(void)
{
	eventfd_t count;

	ck_assert_int_eq(eventfd_read(done_fd, &count), 0);
	ck_assert_int_eq(slots.taken, 0);
}

static struct counters sum;
static struct conn_list left;

static void
finish(void)
{
	TAILQ_INIT(&left);
	worker_order(worker, WORKER_ABORT);
	await_done();
	worker_join(worker, &sum, &left);
	ck_assert(TAILQ_EMPTY(&left));
	slots_destroy(&slots);
	close(done_fd);
}

static void
give(int fd)
{
	struct conn *conn = conn_new(fd, PROTOCOL_UNIX, FRAMING_CHUNK,
	    clock_ms());

	ck_assert_ptr_nonnull(conn);
	ck_assert(slots_take(&slots));
	worker_dispatch(worker, conn);
}

/* A connection that the worker has; the client's end. */
static int
connect_client(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	give(ends[0]);
	return ends[1];
}

static void
await_load(int load)
{
	while (worker_load(worker) != load)
		;
}

START_TEST(serves_and_gives_back_the_slot)
{
	int a = connect_client(), b = connect_client();

	ck_assert_int_eq(worker_load(worker), 2);
	client_talk(a, "hello");
	client_talk(b, "hello");
	close(a);
	await_load(1);
	client_talk(b, "again");
	close(b);
	await_load(0);
	while (slots.taken != 0)
		;
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_CLIENT),
	    2);
}
END_TEST

/* A regular file can't be polled: epoll_ctl refuses it. */
START_TEST(a_connection_that_cannot_be_polled_is_closed)
{
	int other = connect_client();

	for (unsigned i = 1; i <= 20; i++) {
		int fd = open("/proc/self/exe", O_RDONLY);
		ck_assert_int_ne(fd, -1);
		give(fd);
		await_load(1);
		ck_assert_uint_eq(counters_get(worker_counters(worker),
				      COUNTER_CLOSED_ERROR),
		    i);
	}
	client_talk(other, "still here");
	close(other);
}
END_TEST

static int
open_unpollable(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_ne(fd, -1);
	return fd;
}

/*
 * While the worker serves those who have something to say, and is on its way to
 * the first, it is told of the second.
 */
START_TEST(two_that_cannot_be_polled_are_closed_by_a_busy_worker)
{
	int busy[SEVERAL];

	for (int i = 0; i < SEVERAL; i++)
		busy[i] = connect_client();
	for (int round = 0; round < ROUNDS; round++) {
		int first = open_unpollable(), second = open_unpollable();
		for (int i = 0; i < SEVERAL; i++)
			client_send(busy[i], "hello", 5);
		give(first);
		for (volatile int i = 0; i < 100 * (round % 200); i++)
			;
		give(second);
		for (int i = 0; i < SEVERAL; i++)
			client_expect(busy[i], "hello", 5);
		await_load(SEVERAL);
	}
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_ERROR),
	    2 * ROUNDS);
	for (int i = 0; i < SEVERAL; i++)
		close(busy[i]);
}
END_TEST

START_TEST(new_settings_reach_a_worker_that_sleeps)
{
	struct worker_settings settings = settings_of("%%", 1);
	char reply[16];
	int fd = connect_client();

	client_talk(fd, "before");
	settings.idle_ms = 0;
	ck_assert_int_eq(worker_set(worker, &settings), 0);
	ck_assert_int_eq(worker_set(worker, &settings), 0);
	client_send(fd, "x", 1);
	client_read(fd, reply, 5);
	ck_assert_mem_eq(reply, "[%] x", 5);
	settings.idle_ms = 1;
	ck_assert_int_eq(worker_set(worker, &settings), 0);
	client_expect_end(fd);
	close(fd);
}
END_TEST

/* One taken over, with output kept, whose client has its buffers full. */
START_TEST(who_does_not_read_is_not_waited_for_longer)
{
	struct worker_settings settings = settings_of("ctime", 3600 * 1000);
	struct conn_state state = {
		.protocol = PROTOCOL_UNIX,
		.framing = FRAMING_CHUNK,
		.messages = 1,
		.out_len = 5,
		.bytes = "hello",
	};
	char filling[4096] = { 0 };
	int ends[2];

	settings.send_ms = 1;
	ck_assert_int_eq(worker_set(worker, &settings), 0);
	int fd = connect_client();
	client_talk(fd, "hello");
	close(fd);
	await_load(0);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     ends),
	    0);
	while (write(ends[0], filling, sizeof(filling)) > 0)
		;
	struct conn *conn = conn_restore(ends[0], &state, clock_ms());
	ck_assert_ptr_nonnull(conn);
	ck_assert(slots_take(&slots));
	worker_dispatch(worker, conn);
	await_load(0);
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_SEND_TIMEOUT),
	    1);
	close(ends[1]);
}
END_TEST

START_TEST(drain_then_finish)
{
	int fd = connect_client();

	client_talk(fd, "hello");
	worker_order(worker, WORKER_DRAIN);
	client_expect_end(fd);
	close(fd);
	/* More may come until the last order. */
	fd = connect_client();
	client_talk(fd, "late");
	worker_order(worker, WORKER_FINISH);
	client_expect_end(fd);
	close(fd);
	await_done();
	ck_assert_int_eq(eventfd_write(done_fd, 1), 0);
}
END_TEST

START_TEST(abort_closes_all_and_stays_in_force)
{
	int fd = connect_client();

	client_talk(fd, "hello");
	worker_order(worker, WORKER_ABORT);
	worker_order(worker, WORKER_DRAIN);
	client_expect_end(fd);
	close(fd);
	await_done();
	ck_assert_int_eq(eventfd_write(done_fd, 1), 0);
}
END_TEST

START_TEST(a_pool_spreads_connections)
{
	struct config *config = config_load(NULL, stderr);
	struct worker_pool pool;
	int clients[6];

	config->workers = 3;
	ck_assert_int_eq(worker_pool_size(config), 3);
	ck_assert_int_eq(worker_pool_start(&pool, config, 10), 0);
	for (int i = 0; i < 6; i++) {
		int ends[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		ck_assert(slots_take(&pool.slots));
		worker_pool_dispatch(&pool, conn_new(ends[0], PROTOCOL_UNIX,
						FRAMING_CHUNK, clock_ms()));
		clients[i] = ends[1];
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(worker_load(pool.workers[i]), 2);
	ck_assert_int_eq(worker_pool_set(&pool, config), 0);
	worker_pool_order(&pool, WORKER_ABORT);
	struct pollfd done = { .fd = pool.done_fd, .events = POLLIN };
	while (pool.running > 0) {
		ck_assert_int_eq(poll(&done, 1, -1), 1);
		worker_pool_note_done(&pool);
	}
	TAILQ_INIT(&left);
	worker_pool_count(&pool, &sum);
	ck_assert_uint_eq(counters_get(&sum, COUNTER_CLOSED_STOP), 6);
	worker_pool_join(&pool, &sum, &left);
	worker_pool_join(&pool, &sum, &left);
	ck_assert_uint_eq(counters_get(&sum, COUNTER_CLOSED_STOP), 12);
	for (int i = 0; i < 6; i++)
		close(clients[i]);
	config->workers = 0;
	ck_assert_int_ge(worker_pool_size(config), 1);
	config_free(config);
}
END_TEST

Suite *
worker_suite(void)
{
	Suite *suite = suite_create("worker");
	TCase *tests = tcase_create("worker");
	TCase *pool = tcase_create("pool");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_test(tests, serves_and_gives_back_the_slot);
	tcase_add_test(tests, a_connection_that_cannot_be_polled_is_closed);
	tcase_add_test(tests,
	    two_that_cannot_be_polled_are_closed_by_a_busy_worker);
	tcase_add_test(tests, new_settings_reach_a_worker_that_sleeps);
	tcase_add_test(tests, who_does_not_read_is_not_waited_for_longer);
	tcase_add_test(tests, drain_then_finish);
	tcase_add_test(tests, abort_closes_all_and_stays_in_force);
	suite_add_tcase(suite, tests);
	tcase_add_test(pool, a_pool_spreads_connections);
	suite_add_tcase(suite, pool);
	return suite;
}
