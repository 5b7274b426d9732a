#ifndef SUITES_H
#define SUITES_H

#include <check.h>

/* The tests run the real program and talk to it over real sockets. */
Suite *abuse_suite(void);
Suite *access_suite(void);
Suite *arrival_suite(void);
Suite *unix_peer_suite(void);
Suite *hang_suite(void);
Suite *segments_suite(void);
Suite *client_log_suite(void);
Suite *clients_suite(void);
Suite *command_suite(void);
Suite *control_suite(void);
Suite *datagram_suite(void);
Suite *errors_suite(void);
Suite *handover_suite(void);
Suite *http_suite(void);
Suite *limits_suite(void);
Suite *network_suite(void);
Suite *notify_suite(void);
Suite *passed_suite(void);
Suite *proxy_suite(void);
Suite *reload_suite(void);
Suite *stop_suite(void);
Suite *stream_suite(void);
Suite *terminal_suite(void);
Suite *threads_suite(void);
Suite *usage_suite(void);
Suite *settings_suite(void);
Suite *user_suite(void);

#endif
