#include <stdlib.h>

#include "suites.h"

int
main(void)
{
	/* Check's 4 s are too few with a sanitizer on a busy machine. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);
	SRunner *runner = srunner_create(stamp_suite());
	srunner_add_suite(runner, zone_suite());

	srunner_add_suite(runner, framing_suite());
	srunner_add_suite(runner, account_suite());
	srunner_add_suite(runner, client_options_suite());
	srunner_add_suite(runner, target_suite());
	srunner_add_suite(runner, printer_suite());
	srunner_add_suite(runner, traffic_suite());
	srunner_add_suite(runner, window_suite());
	srunner_add_suite(runner, cmsg_suite());
	srunner_add_suite(runner, protocol_suite());
	srunner_add_suite(runner, sockaddr_suite());
	srunner_add_suite(runner, prefix_suite());
	srunner_add_suite(runner, prefix_table_suite());
	srunner_add_suite(runner, resolver_suite());
	srunner_add_suite(runner, json_suite());
	srunner_add_suite(runner, proxy_header_suite());
	srunner_add_suite(runner, message_suite());
	srunner_add_suite(runner, log_suite());
	srunner_add_suite(runner, sink_suite());
	srunner_add_suite(runner, counters_suite());
	srunner_add_suite(runner, exposition_suite());
	srunner_add_suite(runner, process_suite());
	srunner_add_suite(runner, http_suite());
	srunner_add_suite(runner, worker_pool_suite());
	srunner_add_suite(runner, ratelimit_suite());
	srunner_add_suite(runner, loop_suite());
	srunner_add_suite(runner, nearest_suite());
	srunner_add_suite(runner, syntax_suite());
	srunner_add_suite(runner, mender_suite());
	srunner_add_suite(runner, address_suite());
	srunner_add_suite(runner, config_file_suite());
	srunner_add_suite(runner, listener_config_suite());
	srunner_add_suite(runner, config_suite());
	srunner_add_suite(runner, access_suite());
	srunner_add_suite(runner, options_suite());
	srunner_add_suite(runner, sockopt_suite());
	srunner_add_suite(runner, listener_suite());
	srunner_add_suite(runner, bind_suite());
	srunner_add_suite(runner, inherit_suite());
	srunner_add_suite(runner, numbering_suite());
	srunner_add_suite(runner, plan_suite());
	srunner_add_suite(runner, roster_suite());
	srunner_add_suite(runner, sources_suite());
	srunner_add_suite(runner, bulk_suite());
	srunner_add_suite(runner, conn_suite());
	srunner_add_suite(runner, client_log_suite());
	srunner_add_suite(runner, proxy_suite());
	srunner_add_suite(runner, handover_suite());
	srunner_add_suite(runner, shutdown_suite());
	srunner_add_suite(runner, watchdog_suite());
	srunner_add_suite(runner, worker_suite());
	srunner_add_suite(runner, send_batch_suite());
	srunner_add_suite(runner, datagram_suite());
	srunner_add_suite(runner, acceptor_suite());
	srunner_add_suite(runner, stamp_reader_suite());
	srunner_add_suite(runner, offset_suite());
	srunner_add_suite(runner, clock_watch_suite());
	srunner_add_suite(runner, probes_suite());
	srunner_add_suite(runner, rtt_suite());
	srunner_add_suite(runner, payload_suite());
	srunner_add_suite(runner, ping_report_suite());
	srunner_add_suite(runner, output_suite());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
