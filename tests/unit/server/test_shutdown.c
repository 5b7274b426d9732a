#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/caught.h"
#include "server/server.h"
#include "unit/suites.h"

#define RUNNING SHUTDOWN_RUNNING
#define LAME SHUTDOWN_LAME_DUCK
#define DRAINING SHUTDOWN_DRAINING
#define FINISHING SHUTDOWN_FINISHING
#define OTHERS SHUTDOWN_DRAINING_OTHERS
#define HANDING SHUTDOWN_HANDING_OVER
#define ABORTING SHUTDOWN_ABORTING
#define ENDED SHUTDOWN_ENDED

/* For each state what follows on each event, in the order of the header. */
static const enum shutdown_state expected[SHUTDOWN_STATES][SHUTDOWN_EVENTS] = {
	/* stop, announce, restart, accepted, time-out, joined, left over */
	{ DRAINING, LAME, OTHERS, RUNNING, RUNNING, RUNNING, RUNNING },
	{ DRAINING, LAME, LAME, LAME, DRAINING, LAME, LAME },
	{ ABORTING, DRAINING, DRAINING, FINISHING, ABORTING, DRAINING,
	    DRAINING },
	{ ABORTING, FINISHING, FINISHING, FINISHING, ABORTING, ENDED,
	    FINISHING },
	{ ABORTING, OTHERS, OTHERS, HANDING, HANDING, OTHERS, OTHERS },
	{ ABORTING, HANDING, HANDING, HANDING, ABORTING, ENDED, FINISHING },
	{ ABORTING, ABORTING, ABORTING, ABORTING, ENDED, ENDED, ABORTING },
	{ ENDED, ENDED, ENDED, ENDED, ENDED, ENDED, ENDED },
};

START_TEST(each_event_in_each_state)
{
	for (int i = 0; i < SHUTDOWN_STATES; i++)
		for (int j = 0; j < SHUTDOWN_EVENTS; j++) {
			enum shutdown_state next =
			    shutdown_next((enum shutdown_state)i,
				(enum shutdown_event)j);
			ck_assert_msg(next == expected[i][j],
			    "state %d, event %d: %d", i, j, next);
		}
}
END_TEST

/* A stop that has just asked for whom it waits, and its one client. */
static int
ask_oldest(struct server *server)
{
	int ends[2];
	char stamp;

	*server = (struct server){ .state = SHUTDOWN_FINISHING,
		.deadline_ms = UINT64_MAX,
		.remark_ms = UINT64_MAX };
	ck_assert_int_eq(config_load(&server->config,
			     &(struct config_source){ 0 }, stderr),
	    0);
	server->config->workers = 1;
	ck_assert_int_eq(worker_pool_start(&server->pool, server->config, 1),
	    0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	worker_pool_dispatch(&server->pool,
	    conn_new(ends[0], PROTOCOL_UNIX, FRAMING_CHUNK, clock_ms()));
	/* The worker knows it when it has answered it. */
	ck_assert_int_eq(write(ends[1], "", 1), 1);
	ck_assert_int_eq(read(ends[1], &stamp, 1), 1);
	worker_pool_ask_oldest(&server->pool);
	while (worker_oldest(server->pool.workers[0]) == NULL)
		sched_yield();
	return ends[1];
}

START_TEST(says_for_whom_it_waits_unless_nobody_is_left)
{
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	struct server server;
	int client = ask_oldest(&server);

	if (_i == 1) {
		close(client);
		while (worker_pool_connections(&server.pool) != 0)
			sched_yield();
	}
	caught_begin();
	shutdown_advance(&server);
	const char *text = caught_text();
	if (_i == 0)
		ck_assert_ptr_nonnull(strstr(text, "waiting for 1 connection"));
	else
		ck_assert_str_eq(text, "");
	caught_end();
	if (_i == 0)
		close(client);
	worker_pool_order(&server.pool, WORKER_ABORT);
	worker_pool_join(&server.pool, &server.counters, &list);
	config_free(server.config);
}
END_TEST

Suite *
shutdown_suite(void)
{
	Suite *suite = suite_create("shutdown");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, each_event_in_each_state);
	tcase_add_loop_test(tests, says_for_whom_it_waits_unless_nobody_is_left,
	    0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
