#include "server/shutdown.h"
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

Suite *
shutdown_suite(void)
{
	Suite *suite = suite_create("shutdown");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, each_event_in_each_state);
	suite_add_tcase(suite, tests);
	return suite;
}
