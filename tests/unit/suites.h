#ifndef SUITES_H
#define SUITES_H

#include <check.h>

/* One suite for each room of src/, through its public header. */
Suite *acceptor_suite(void);
Suite *account_suite(void);
Suite *client_options_suite(void);
Suite *target_suite(void);
Suite *traffic_suite(void);
Suite *window_suite(void);
Suite *sockaddr_suite(void);
Suite *roster_suite(void);
Suite *prefix_suite(void);
Suite *prefix_table_suite(void);
Suite *sources_suite(void);
Suite *config_suite(void);
Suite *access_suite(void);
Suite *bulk_suite(void);
Suite *client_log_suite(void);
Suite *conn_suite(void);
Suite *counters_suite(void);
Suite *sockopt_suite(void);
Suite *cmsg_suite(void);
Suite *framing_suite(void);
Suite *handover_suite(void);
Suite *listener_suite(void);
Suite *bind_suite(void);
Suite *inherit_suite(void);
Suite *plan_suite(void);
Suite *log_suite(void);
Suite *json_suite(void);
Suite *message_suite(void);
Suite *options_suite(void);
Suite *send_batch_suite(void);
Suite *protocol_suite(void);
Suite *proxy_suite(void);
Suite *proxy_header_suite(void);
Suite *ratelimit_suite(void);
Suite *resolver_suite(void);
Suite *shutdown_suite(void);
Suite *worker_pool_suite(void);
Suite *config_file_suite(void);
Suite *listener_config_suite(void);
Suite *stamp_suite(void);
Suite *datagram_suite(void);
Suite *loop_suite(void);
Suite *worker_suite(void);
Suite *stamp_reader_suite(void);
Suite *offset_suite(void);
Suite *clock_watch_suite(void);
Suite *probes_suite(void);
Suite *rtt_suite(void);
Suite *payload_suite(void);

#endif
