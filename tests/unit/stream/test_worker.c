#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/client.h"
#include "harness/daemon.h"
#include "stream/budget.h"
#include "stream/worker.h"
#include "stream/worker_thread.h"
#include "unit/suites.h"

#define SEVERAL 20
/* Memcheck runs a thread at a time: it meets no more in more rounds. */
#define ROUNDS (daemon_is_wrapped() ? 300U : 5000U)

static struct worker_shared shared;
static struct worker *worker;

/* Of settings_of; a worker has a copy. */
static struct profile row[1];
static struct stamp stamp[1];

static void
set_idle(uint64_t idle_ms)
{
	row->idle_ms[FRAMING_CHUNK] = row->idle_ms[FRAMING_LINE] = idle_ms;
}

static struct worker_settings
settings_of(const char *format, uint64_t idle_ms)
{
	struct worker_settings settings = { .profiles = { 1, 1, row, stamp } };
	struct stamp_format compiled;

	ck_assert_int_eq(stamp_format_compile(&compiled, format, NULL, 0), 0);
	stamp_init(stamp, &compiled);
	set_idle(idle_ms);
	return settings;
}

static void
start(void)
{
	struct worker_settings settings = settings_of("ctime", 0);

	shared = (struct worker_shared){
		.room_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.done_fd = eventfd(0, EFD_CLOEXEC),
	};
	worker = worker_start(0, &shared);
	ck_assert_ptr_nonnull(worker);
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
}

static void
await_done(void)
{
	eventfd_t count;

	ck_assert_int_eq(eventfd_read(shared.done_fd, &count), 0);
	ck_assert_int_eq(worker_load(worker), 0);
}

static struct counters sum;
static struct conn_list handed_over;

static void
finish(void)
{
	TAILQ_INIT(&handed_over);
	worker_order(worker, WORKER_ABORT);
	await_done();
	worker_join(worker, &sum, &handed_over);
	ck_assert(TAILQ_EMPTY(&handed_over));
	close(shared.room_fd);
	close(shared.done_fd);
}

static void
dispatch(int fd)
{
	struct conn *conn = conn_new(fd, PROTOCOL_UNIX, FRAMING_CHUNK,
	    clock_ms());

	ck_assert_ptr_nonnull(conn);
	worker_dispatch(worker, conn);
}

/* A connection that the worker has; the client's end. */
static int
connect_client(void)
{
	int ends[2];

	client_pair(ends);
	dispatch(ends[0]);
	return ends[1];
}

static void
await_load(int load)
{
	while (worker_load(worker) != load)
		sched_yield();
}

static bool
room_is_told(void)
{
	eventfd_t count;

	return eventfd_read(shared.room_fd, &count) == 0;
}

START_TEST(serves_and_tells_of_room_when_wanted)
{
	int a = connect_client(), b = connect_client();

	ck_assert_int_eq(worker_load(worker), 2);
	client_talk(a, "hello");
	client_talk(b, "hello");
	close(a);
	await_load(1);
	client_talk(b, "again");
	ck_assert(!room_is_told());
	shared.room_wanted = true;
	close(b);
	await_load(0);
	while (!room_is_told())
		sched_yield();
	ck_assert(!shared.room_wanted);
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_CLIENT),
	    2);
}
END_TEST

/* A file is not a socket: its first receive fails. */
static void
dispatch_unusable(void)
{
	int fd = open("/proc/self/exe", O_RDONLY);

	ck_assert_int_ne(fd, -1);
	dispatch(fd);
}

START_TEST(every_dispatch_wakes_a_worker_that_waits)
{
	int other = connect_client();

	unsigned rounds = ROUNDS;

	for (unsigned i = 1; i <= rounds; i++) {
		dispatch_unusable();
		await_load(1);
		ck_assert_uint_eq(counters_get(worker_counters(worker),
				      COUNTER_CLOSED_ERROR),
		    i);
	}
	client_talk(other, "still here");
	close(other);
}
END_TEST

/* The worker takes the first of two, at any moment of its loop. */
START_TEST(every_dispatch_reaches_a_busy_worker)
{
	int busy[SEVERAL];
	unsigned rounds = ROUNDS;

	for (int i = 0; i < SEVERAL; i++)
		busy[i] = connect_client();
	for (unsigned round = 0; round < rounds; round++) {
		for (int i = 0; i < SEVERAL; i++)
			client_send(busy[i], "hello", 5);
		dispatch_unusable();
		for (volatile unsigned i = 0; i < 100 * (round % 200); i++)
			;
		dispatch_unusable();
		for (int i = 0; i < SEVERAL; i++)
			client_expect(busy[i], "hello", 5);
		await_load(SEVERAL);
	}
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_ERROR),
	    2 * rounds);
	for (int i = 0; i < SEVERAL; i++)
		close(busy[i]);
}
END_TEST

/* What the client sent before the dispatch raises no event. */
START_TEST(data_that_came_before_the_dispatch_is_answered)
{
	int ends[2];

	client_pair(ends);
	client_send(ends[1], "early", 5);
	dispatch(ends[0]);
	client_expect(ends[1], "early", 5);
	client_talk(ends[1], "later");
	client_send(ends[1], "last", 4);
	shutdown(ends[1], SHUT_WR);
	client_expect(ends[1], "last", 4);
	client_expect_end(ends[1]);
	close(ends[1]);
}
END_TEST

START_TEST(new_settings_reach_a_worker_that_sleeps)
{
	struct worker_settings settings = settings_of("%%", 1);
	char reply[16];
	int fd = connect_client();

	client_talk(fd, "before");
	set_idle(0);
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	client_send(fd, "x", 1);
	client_read(fd, reply, 5);
	ck_assert_mem_eq(reply, "[%] x", 5);
	set_idle(1);
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	client_expect_end(fd);
	close(fd);
}
END_TEST

/* A connection with output kept, whose client does not read; its client. */
static int
dispatch_deaf(struct worker *to)
{
	static char filling[4096];
	struct conn_state state = {
		.protocol = PROTOCOL_UNIX,
		.framing = FRAMING_CHUNK,
		.messages = 1,
		.out_len = 5,
		.bytes = "hello",
	};
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     ends),
	    0);
	while (write(ends[0], filling, sizeof(filling)) > 0)
		;
	struct conn *conn = conn_restore(ends[0], &state, clock_ms());
	ck_assert_ptr_nonnull(conn);
	worker_dispatch(to, conn);
	return ends[1];
}

START_TEST(a_client_that_does_not_read_has_send_timeout)
{
	struct worker_settings settings = settings_of("ctime", 3600 * 1000);

	settings.send_ms = 1;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	int fd = connect_client();
	client_talk(fd, "hello");
	close(fd);
	await_load(0);

	fd = dispatch_deaf(worker);
	await_load(0);
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_SEND_TIMEOUT),
	    1);
	close(fd);
}
END_TEST

static void
await_counter(const struct worker *of, enum counter id, uint64_t value)
{
	while (counters_get(worker_counters(of), id) != value)
		sched_yield();
}

START_TEST(a_deaf_client_is_in_the_budget)
{
	struct worker_settings settings = settings_of("ctime", 0);
	int busy = connect_client(), fd = dispatch_deaf(worker);

	while (shared.kept == 0)
		sched_yield();
	ck_assert_uint_gt(shared.kept, 64 << 10);
	client_talk(busy, "hello");
	/* A client that takes all is not in it any more. */
	static char data[1 << 20];
	while (read(fd, data, sizeof(data)) > 0 || shared.kept != 0)
		sched_yield();
	close(fd);
	await_load(1);
	settings.kept_max = 1;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	fd = dispatch_deaf(worker);
	await_counter(worker, COUNTER_CLOSED_MEMORY, 1);
	await_load(1);
	ck_assert_uint_eq(shared.kept, 0);
	client_talk(busy, "hello");
	close(fd);
	close(busy);
}
END_TEST

/* The second worker has the deaf client, the first one is over the budget. */
START_TEST(another_worker_closes_its_deaf_client)
{
	struct worker_settings settings = settings_of("ctime", 0);
	struct worker *workers[] = { worker, worker_start(1, &shared) };
	struct worker *second = workers[1];
	size_t one;

	shared.workers = workers;
	shared.count = 2;
	ck_assert_int_eq(worker_configure(second, &settings), 0);
	int old = dispatch_deaf(second);
	while ((one = shared.kept) == 0)
		sched_yield();
	for (uint64_t then = clock_ms(); clock_ms() == then;)
		;
	int young = dispatch_deaf(worker);
	while (shared.kept < 2 * one)
		sched_yield();
	settings.kept_max = one;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	ck_assert_int_eq(worker_configure(second, &settings), 0);
	await_counter(second, COUNTER_CLOSED_MEMORY, 1);
	ck_assert_int_eq(worker_load(worker), 1);
	close(young);
	await_load(0);
	worker_order(second, WORKER_ABORT);
	await_done();
	worker_join(second, &sum, &handed_over);
	shared.count = 0;
	close(old);
}
END_TEST

/* A restart must not let a silent client live on, nor end one that speaks. */
START_TEST(silence_before_the_dispatch_counts)
{
	struct conn_state state = { .protocol = PROTOCOL_UNIX,
		.framing = FRAMING_CHUNK };
	struct worker_settings settings = settings_of("ctime", clock_ms());
	int quiet[2], talking[2];

	/* Longer than the limit, which is for how long the clock has run. */
	state.idle_ms = UINT64_MAX;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	int fresh = connect_client();
	client_talk(fresh, "hello");
	client_pair(quiet);
	client_pair(talking);
	client_send(talking[1], "meanwhile", 9);
	worker_dispatch(worker, conn_restore(talking[0], &state, clock_ms()));
	worker_dispatch(worker, conn_restore(quiet[0], &state, clock_ms()));
	client_expect(talking[1], "meanwhile", 9);
	client_expect_end(quiet[1]);
	client_talk(fresh, "again");
	client_talk(talking[1], "again");
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_IDLE),
	    1);
	close(fresh);
	close(quiet[1]);
	close(talking[1]);
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
	ck_assert_int_eq(eventfd_write(shared.done_fd, 1), 0);
}
END_TEST

/* Of a worker that does not run. */
START_TEST(freed_memory_is_returned_once_a_second)
{
	static struct worker_shared own;
	static struct worker idle = { .shared = &own };

	own.has_freed = true;
	own.trimmed_ms = 59001;
	idle.roster.now_ms = 60000;
	budget_trim(&idle);
	ck_assert(own.has_freed);
	idle.roster.now_ms = 60001;
	budget_trim(&idle);
	ck_assert(!own.has_freed);
	ck_assert_uint_eq(own.trimmed_ms, 60001);
	idle.roster.now_ms = 62000;
	budget_trim(&idle);
	ck_assert_uint_eq(own.trimmed_ms, 60001);
}
END_TEST

START_TEST(a_client_that_held_nothing_frees_nothing)
{
	int first = connect_client(), second = connect_client();

	client_talk(first, "hello");
	close(first);
	await_load(1);
	/* Its turn of the worker is over when another client is served. */
	client_talk(second, "hello");
	ck_assert(!shared.has_freed);
	ck_assert_uint_eq(shared.trimmed_ms, 0);
	close(second);
	await_load(0);
}
END_TEST

START_TEST(abort_closes_all_and_remains_in_force)
{
	int fd = connect_client();

	client_talk(fd, "hello");
	worker_order(worker, WORKER_ABORT);
	worker_order(worker, WORKER_DRAIN);
	client_expect_end(fd);
	close(fd);
	await_done();
	ck_assert_int_eq(eventfd_write(shared.done_fd, 1), 0);
}
END_TEST

START_TEST(a_hand_over_keeps_connections_open)
{
	int fd = connect_client();

	client_talk(fd, "hello");
	worker_order(worker, WORKER_HAND_OVER);
	await_done();
	TAILQ_INIT(&handed_over);
	worker_join(worker, &sum, &handed_over);
	struct conn *conn = TAILQ_FIRST(&handed_over);
	ck_assert_ptr_nonnull(conn);
	TAILQ_REMOVE(&handed_over, conn, link);
	ck_assert(TAILQ_EMPTY(&handed_over));
	close(shared.room_fd);
	close(shared.done_fd);
	/* Another worker serves it as any other. */
	start();
	worker_dispatch(worker, conn);
	client_talk(fd, "again");
	client_talk(fd, "and again");
	close(fd);
	await_load(0);
}
END_TEST

/* A connection with a profile; the client's end. */
static int
connect_as(uint16_t profile, enum framing framing)
{
	int ends[2];

	client_pair(ends);
	struct conn *conn = conn_new(ends[0], PROTOCOL_UNIX, framing,
	    clock_ms());
	ck_assert_ptr_nonnull(conn);
	conn->profile = profile;
	worker_dispatch(worker, conn);
	return ends[1];
}

static void
expect_text(int fd, const char *text)
{
	char reply[64];

	client_send(fd, "x\n", 2);
	client_read(fd, reply, strlen(text));
	ck_assert_mem_eq(reply, text, strlen(text));
}

START_TEST(each_profile_has_its_time_and_stamp)
{
	struct profile rows[] = {
		{ .idle_ms = { 1, 0 } },
		{ .idle_ms = { 0, 0 }, .stamp = 1 },
		{ .idle_ms = { 20, 30 } },
	};
	struct stamp stamps[2];
	struct worker_settings settings = settings_of("%%", 0);

	stamps[0] = *stamp;
	settings_of("%%%%", 0);
	stamps[1] = *stamp;
	settings.profiles = (struct profiles){ 3, 2, rows, stamps };
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	/* Those that may be idle for longer came first. */
	int never = connect_as(1, FRAMING_CHUNK);
	int later = connect_as(2, FRAMING_LINE);
	int lines = connect_as(0, FRAMING_LINE);
	int soon = connect_as(0, FRAMING_CHUNK);
	int unknown = connect_as(3, FRAMING_CHUNK);
	expect_text(never, "[%%] x\n");
	expect_text(lines, "[%] x\n");
	client_expect_end(soon);
	client_expect_end(unknown);
	client_expect_end(later);
	expect_text(never, "[%%] x\n");
	expect_text(lines, "[%] x\n");
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_IDLE),
	    3);
	/* New settings reach those that were set aside. */
	rows[1].idle_ms[FRAMING_CHUNK] = 2;
	rows[1].stamp = 0;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	client_expect_end(never);
	expect_text(lines, "[%] x\n");
	await_load(1);
	close(never);
	close(later);
	close(lines);
	close(soon);
	close(unknown);
}
END_TEST

/* Nothing else would have the worker look at who may be idle for ever. */
START_TEST(new_settings_end_who_was_idle_for_ever)
{
	struct profile rows[] = { { .idle_ms = { 1, 1 } }, { { 0, 0 }, 0 } };
	struct worker_settings settings = settings_of("%%", 0);

	settings.profiles = (struct profiles){ 2, 1, rows, stamp };
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	int never = connect_as(1, FRAMING_CHUNK);
	int soon = connect_as(0, FRAMING_CHUNK);
	/* The other one, which came first, is set aside by then. */
	client_expect_end(soon);
	rows[1].idle_ms[FRAMING_CHUNK] = 1;
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	client_expect_end(never);
	await_load(0);
	close(never);
	close(soon);
}
END_TEST

START_TEST(an_idle_client_that_takes_nothing_is_closed)
{
	static const char data[65536];
	struct worker_settings settings = settings_of("%%", 1);
	int fd = connect_as(0, FRAMING_CHUNK);

	client_send(fd, data, sizeof(data));
	ck_assert_int_eq(worker_configure(worker, &settings), 0);
	await_load(0);
	ck_assert_uint_eq(counters_get(worker_counters(worker),
			      COUNTER_CLOSED_IDLE),
	    1);
	close(fd);
}
END_TEST

Suite *
worker_suite(void)
{
	Suite *suite = suite_create("worker");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_test(tests, serves_and_tells_of_room_when_wanted);
	tcase_add_test(tests, every_dispatch_wakes_a_worker_that_waits);
	tcase_add_test(tests, every_dispatch_reaches_a_busy_worker);
	tcase_add_test(tests, data_that_came_before_the_dispatch_is_answered);
	tcase_add_test(tests, new_settings_reach_a_worker_that_sleeps);
	tcase_add_test(tests, a_client_that_does_not_read_has_send_timeout);
	tcase_add_test(tests, silence_before_the_dispatch_counts);
	tcase_add_test(tests, a_deaf_client_is_in_the_budget);
	tcase_add_test(tests, another_worker_closes_its_deaf_client);
	tcase_add_test(tests, drain_then_finish);
	tcase_add_test(tests, a_hand_over_keeps_connections_open);
	tcase_add_test(tests, freed_memory_is_returned_once_a_second);
	tcase_add_test(tests, a_client_that_held_nothing_frees_nothing);
	tcase_add_test(tests, abort_closes_all_and_remains_in_force);
	tcase_add_test(tests, each_profile_has_its_time_and_stamp);
	tcase_add_test(tests, new_settings_end_who_was_idle_for_ever);
	tcase_add_test(tests, an_idle_client_that_takes_nothing_is_closed);
	suite_add_tcase(suite, tests);
	return suite;
}
