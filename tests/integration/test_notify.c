#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

START_TEST(the_manager_is_told)
{
	struct daemon server;

	manager_open(0);
	setenv("WATCHDOG_USEC", "4000000", 1);
	daemon_start_config(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; }, "
	    "{ protocol = \"udp\"; port = 0; } );\n");
	manager_await("READY=1");
	manager_await("WATCHDOG=1");
	manager_await("STATUS=0 connections open, 0 messages answered");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	manager_await("STATUS=1 connections open, 1 messages answered");
	close(fd);
	for (int i = 0; i < 3; i++)
		manager_await("WATCHDOG=1");

	daemon_reload(&server, "wrokers = 1;", "reload refused");
	manager_await("RELOADING=1\nMONOTONIC_USEC=");
	manager_await("READY=1");
	daemon_signal(&server, SIGTERM);
	manager_await("STOPPING=1");
	ck_assert_int_eq(daemon_wait(&server), 0);
	ck_assert_ptr_null(strstr(server.log, "does not respond"));
	free(server.log);
}
END_TEST

/* Else it would end the stop after its own time. */
START_TEST(the_manager_is_told_how_long_a_stop_takes)
{
	struct daemon server;

	manager_open(0);
	manager_start(&server,
	    "limits: { drain_timeout = 300; };\n"
	    "listeners = ( { protocol = \"tcp\"; port = 0; } );\n");
	daemon_signal(&server, SIGTERM);
	manager_await("STOPPING=1");
	manager_await("EXTEND_TIMEOUT_USEC=305000000");
	daemon_finish(&server);
}
END_TEST

Suite *
notify_suite(void)
{
	Suite *suite = suite_create("notify");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, the_manager_is_told);
	tcase_add_test(tests, the_manager_is_told_how_long_a_stop_takes);
	suite_add_tcase(suite, tests);
	return suite;
}
