#include <stdlib.h>

#include "base/clock.h"
#include "server/server.h"
#include "server/watchdog.h"
#include "unit/suites.h"

#define LATER_MS 3600000

static struct server server;

/* As if /live were served, or not. */
static void
start(bool is_served)
{
	static int daemon;

	server.http.site.daemon = is_served
	                            ? (struct MHD_Daemon *)(void *)&daemon
	                            : NULL;
	watchdog_start(&server);
}

/* Otherwise threads that had no time to answer would count as hanging. */
START_TEST(a_reload_leaves_time_to_answer)
{
	uint64_t now_ms = clock_ms();

	unsetenv("NOTIFY_SOCKET");
	server.watchdog.next_ms = UINT64_MAX;
	start(false);
	ck_assert_uint_eq(server.watchdog.next_ms, UINT64_MAX);
	start(true);
	ck_assert_uint_ge(server.watchdog.next_ms, now_ms);
	ck_assert_uint_le(server.watchdog.next_ms, clock_ms());

	/* After a beat. */
	uint64_t due_ms = clock_ms() + server.watchdog.period_ms;
	server.watchdog.next_ms = due_ms;
	start(true);
	ck_assert_uint_eq(server.watchdog.next_ms, due_ms);

	/* When the time between beats was longer, the next one comes sooner. */
	server.watchdog.next_ms = now_ms + LATER_MS;
	start(true);
	ck_assert_uint_ge(server.watchdog.next_ms, due_ms);
	ck_assert_uint_lt(server.watchdog.next_ms, now_ms + LATER_MS);
	start(false);
	ck_assert_uint_eq(server.watchdog.next_ms, UINT64_MAX);
}
END_TEST

Suite *
watchdog_suite(void)
{
	Suite *suite = suite_create("watchdog");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_reload_leaves_time_to_answer);
	suite_add_tcase(suite, tests);
	return suite;
}
