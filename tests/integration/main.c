#include <stdlib.h>

#include "suites.h"

int
main(void)
{
	SRunner *runner = srunner_create(command_suite());
	char *program = realpath(getenv("TIMESTAMPD"), NULL);

	/* The tests change their working directory. */
	if (program == NULL || setenv("TIMESTAMPD", program, 1) == -1)
		return EXIT_FAILURE;
	free(program);
	srunner_add_suite(runner, usage_suite());
	srunner_add_suite(runner, settings_suite());
	srunner_add_suite(runner, errors_suite());
	srunner_add_suite(runner, control_suite());
	srunner_add_suite(runner, stream_suite());
	srunner_add_suite(runner, datagram_suite());
	srunner_add_suite(runner, segments_suite());
	srunner_add_suite(runner, arrival_suite());
	srunner_add_suite(runner, unix_peer_suite());
	srunner_add_suite(runner, hang_suite());
	srunner_add_suite(runner, threads_suite());
	srunner_add_suite(runner, stop_suite());
	srunner_add_suite(runner, reload_suite());
	srunner_add_suite(runner, access_suite());
	srunner_add_suite(runner, client_log_suite());
	srunner_add_suite(runner, terminal_suite());
	srunner_add_suite(runner, limits_suite());
	srunner_add_suite(runner, http_suite());
	srunner_add_suite(runner, user_suite());
	srunner_add_suite(runner, notify_suite());
	srunner_add_suite(runner, handover_suite());
	srunner_add_suite(runner, passed_suite());
	srunner_add_suite(runner, proxy_suite());
	srunner_add_suite(runner, clients_suite());
	srunner_add_suite(runner, network_suite());
	srunner_add_suite(runner, abuse_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
