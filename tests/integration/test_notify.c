#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "scratch.h"
#include "suites.h"

/* What a service manager sees; the real one is in tests/systemd. */
static int manager;
static char message[1024];

static void
open_manager(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager",
	    folder);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

static void
await_message(const char *start)
{
	do {
		ssize_t n = recv(manager, message, sizeof(message) - 1, 0);
		ck_assert_int_gt(n, 0);
		message[n] = '\0';
	} while (strncmp(message, start, strlen(start)) != 0);
}

START_TEST(the_manager_is_told)
{
	struct daemon server;

	open_manager();
	setenv("WATCHDOG_USEC", "4000000", 1);
	daemon_start_config(&server,
	    "listeners = ( { protocol = \"tcp\"; port = 0; }, "
	    "{ protocol = \"udp\"; port = 0; } );\n");
	await_message("READY=1");
	await_message("WATCHDOG=1");
	await_message("STATUS=0 connections open, 0 messages answered");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	await_message("STATUS=1 connections open, 1 messages answered");
	close(fd);
	for (int i = 0; i < 3; i++)
		await_message("WATCHDOG=1");

	daemon_reload(&server, "wrokers = 1;", "reload refused");
	await_message("RELOADING=1\nMONOTONIC_USEC=");
	await_message("READY=1");
	daemon_signal(&server, SIGTERM);
	await_message("STOPPING=1");
	ck_assert_int_eq(daemon_wait(&server), 0);
	ck_assert_ptr_null(strstr(server.log, "does not turn"));
	free(server.log);
	close(manager);
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
	suite_add_tcase(suite, tests);
	return suite;
}
