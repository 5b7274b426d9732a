#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/client.h"
#include "stream/worker_pool.h"
#include "unit/suites.h"

#define ROUNDS 10000

static struct config *config;
static struct worker_pool pool;
static struct counters sum;
static struct conn_list handed_over = TAILQ_HEAD_INITIALIZER(handed_over);

static void
start(int workers, int max_connections)
{
	ck_assert_int_eq(config_load(&config, &(struct config_source){ 0 },
			     stderr),
	    0);
	config->workers = workers;
	ck_assert_int_eq(worker_pool_start(&pool, config, max_connections), 0);
}

static void
finish(void)
{
	worker_pool_order(&pool, WORKER_ABORT);
	worker_pool_join(&pool, &sum, &handed_over);
	ck_assert(TAILQ_EMPTY(&handed_over));
	config_free(config);
}

static void
dispatch(int fd)
{
	struct conn *conn = conn_new(fd, PROTOCOL_UNIX, FRAMING_CHUNK,
	    clock_ms());

	ck_assert_ptr_nonnull(conn);
	worker_pool_dispatch(&pool, conn);
}

/* The client's end. */
static int
connect_client(void)
{
	int ends[2];

	client_pair(ends);
	dispatch(ends[0]);
	return ends[1];
}

static int
await(int fd, int timeout_ms)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };

	return poll(&event, 1, timeout_ms);
}

START_TEST(spreads_connections)
{
	struct profiles profiles;
	int clients[6];

	start(3, 10);
	ck_assert_int_eq(worker_pool_size(config), 3);
	for (int i = 0; i < 6; i++)
		clients[i] = connect_client();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(worker_load(pool.workers[i]), 2);
	ck_assert_int_eq(worker_pool_connections(&pool), 6);
	ck_assert_int_eq(profiles_init(&profiles, 1, config), 0);
	ck_assert_int_eq(worker_pool_configure(&pool, config, &profiles), 0);
	profiles_free(&profiles);
	worker_pool_order(&pool, WORKER_ABORT);
	while (pool.running > 0) {
		ck_assert_int_eq(await(pool.shared.done_fd, -1), 1);
		worker_pool_note_done(&pool);
	}
	worker_pool_add_counters(&pool, &sum);
	ck_assert_uint_eq(counters_get(&sum, COUNTER_CLOSED_STOP), 6);
	worker_pool_join(&pool, &sum, &handed_over);
	worker_pool_join(&pool, &sum, &handed_over);
	ck_assert_uint_eq(counters_get(&sum, COUNTER_CLOSED_STOP), 12);
	for (int i = 0; i < 6; i++)
		close(clients[i]);
	config->workers = 0;
	ck_assert_int_ge(worker_pool_size(config), 1);
	config_free(config);
}
END_TEST

START_TEST(tells_of_room_when_asked_for_it)
{
	start(2, 2);
	ck_assert(worker_pool_has_room(&pool));
	int a = connect_client(), b = connect_client();
	close(a);
	while (worker_pool_connections(&pool) != 1)
		sched_yield();
	ck_assert(worker_pool_has_room(&pool));
	a = connect_client();
	ck_assert(!worker_pool_has_room(&pool));
	ck_assert_int_eq(await(pool.shared.room_fd, 0), 0);
	close(a);
	ck_assert_int_eq(await(pool.shared.room_fd, -1), 1);
	worker_pool_note_room(&pool);
	ck_assert_int_eq(await(pool.shared.room_fd, 0), 0);
	ck_assert(worker_pool_has_room(&pool));
	close(b);
	finish();
}
END_TEST

START_TEST(a_new_maximum_holds_at_once)
{
	start(2, 1);
	int a = connect_client();
	ck_assert(!worker_pool_has_room(&pool));
	worker_pool_set_max(&pool, 2);
	ck_assert_int_eq(await(pool.shared.room_fd, 0), 1);
	ck_assert(worker_pool_has_room(&pool));
	int b = connect_client();
	worker_pool_set_max(&pool, 1);
	ck_assert(!worker_pool_has_room(&pool));
	close(a);
	while (worker_pool_connections(&pool) != 1)
		sched_yield();
	ck_assert(!worker_pool_has_room(&pool));
	close(b);
	finish();
}
END_TEST

/* If one were lost, this would wait for ever. */
START_TEST(no_notice_of_room_is_lost)
{
	start(2, 1);
	for (int dispatched = 0; dispatched < ROUNDS;) {
		if (worker_pool_has_room(&pool)) {
			/* Not a socket: it is closed at once. */
			dispatch(open("/dev/null", O_RDONLY));
			dispatched++;
			continue;
		}
		ck_assert_int_eq(await(pool.shared.room_fd, -1), 1);
		worker_pool_note_room(&pool);
	}
	finish();
}
END_TEST

Suite *
worker_pool_suite(void)
{
	Suite *suite = suite_create("worker_pool");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, spreads_connections);
	tcase_add_test(tests, tells_of_room_when_asked_for_it);
	tcase_add_test(tests, a_new_maximum_holds_at_once);
	tcase_add_test(tests, no_notice_of_room_is_lost);
	suite_add_tcase(suite, tests);
	return suite;
}
