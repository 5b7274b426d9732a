#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/client.h"
#include "harness/daemon.h"
#include "harness/inet.h"
#include "harness/manager.h"
#include "harness/scratch.h"
#include "suites.h"

#define TCP "listeners = ( { protocol = \"tcp\"; port = 0; } );\n"
#define BOTH                                                                   \
	"listeners = ( { protocol = \"tcp\"; port = 0; },\n"                   \
	"{ protocol = \"udp\"; port = 0; threads = 2; } );\n"
#define HTTP "http: { port = 0; };\n"
#define ONE "limits: { max_connections = 1; };\n"
#define HTTP_NAME "http 127.0.0.1"
#define PLACES 16  /* clients of HTTP that are served at a time */
#define CROWD 1000 /* clients that come at once */
#define HEAD_LEN 65536
#define READY "new clients are welcome\n"
#define OPEN "Accept: application/openmetrics-text; version=1.0.0\r\n"

static struct daemon server;

static const char *
get(const char *path)
{
	char request[64];

	snprintf(request, sizeof(request), "GET %s", path);
	return client_http(daemon_port(&server, HTTP_NAME), request, "");
}

static void
assert_answer(const char *answer, int status, const char *text)
{
	char start[32];

	snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
	ck_assert_msg(strncmp(answer, start, strlen(start)) == 0 &&
			  strstr(answer, text) != NULL,
	    "not %d and '%s' but:\n%s", status, text, answer);
}

/* Asks until the sample has this value: it may be a moment old. */
static void
await_metric(const char *sample, unsigned long long value)
{
	char line[256];

	snprintf(line, sizeof(line), "\n%s %llu\n", sample, value);
	while (strstr(get("/metrics"), line) == NULL)
		;
}

/* How often the thread that answers HTTP has slept. */
static long
count_sleeps(void)
{
	char path[384], line[128];
	struct dirent *entry;
	long sleeps = -1;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)server.pid);
	DIR *threads = opendir(path);
	ck_assert_ptr_nonnull(threads);
	while ((entry = readdir(threads)) != NULL) {
		bool is_it = false;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status",
		    (int)server.pid, entry->d_name);
		FILE *file = fopen(path, "r");
		while (
		    file != NULL && fgets(line, sizeof(line), file) != NULL) {
			is_it |= strcmp(line, "Name:\tMHD-single\n") == 0;
			if (is_it)
				sscanf(line, "voluntary_ctxt_switches: %ld",
				    &sleeps);
		}
		if (file != NULL)
			fclose(file);
	}
	closedir(threads);
	return sleeps;
}

/* Whether the server serves its own clients, and says that all is well. */
static void
assert_serves(void)
{
	int fd = client_tcp(daemon_port(&server, "tcp *"));

	client_talk(fd, "hello");
	close(fd);
	assert_answer(get("/live"), 200, "\r\n\r\nall threads respond\n");
	assert_answer(get("/ready"), 200, "\r\n\r\n" READY);
}

START_TEST(each_resource)
{
	daemon_start_config(&server, TCP HTTP);
	int port = daemon_port(&server, HTTP_NAME);

	assert_serves();
	const char *answer = get("/metrics");
	assert_answer(answer, 200, "\ntimestampd_connections_open ");
	assert_answer(answer, 200,
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	assert_answer(answer, 200, "\r\nConnection: close\r\n");
	ck_assert_ptr_null(strstr(answer, "# EOF"));
	answer = client_http(port, "GET /metrics", OPEN);
	assert_answer(answer, 200,
	    "Content-Type: application/openmetrics-text; version=1.0.0; "
	    "charset=utf-8\r\n");
	assert_answer(answer, 200, "\n# EOF\n");

	answer = client_http(port, "HEAD /ready", "");
	assert_answer(answer, 200, "\r\nContent-Length: 24\r\n");
	ck_assert_ptr_null(strstr(answer, READY));
	assert_answer(client_http(port, "HEAD /metrics", ""), 200, "");
	assert_answer(get("/"), 404, "there are: /metrics, /live, /ready\n");
	assert_answer(get("/live/"), 404, "");
	assert_answer(get("/../live"), 404, "");
	assert_answer(get("/live?verbose"), 200, "");
	daemon_stop(&server);
}
END_TEST

/* Whether the server has loaded a library whose path contains name. */
static bool
has_loaded(const char *name)
{
	char line[512];
	bool is_found = false;

	snprintf(line, sizeof(line), "/proc/%d/maps", (int)server.pid);
	FILE *maps = fopen(line, "r");
	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps) != NULL)
		is_found |= strstr(line, name) != NULL;
	fclose(maps);
	return is_found;
}

START_TEST(without_it_no_library_is_loaded)
{
	daemon_start_config(&server, TCP);
	ck_assert(!has_loaded("microhttpd"));
	ck_assert(!has_loaded("gnutls"));
	daemon_reload(&server, TCP HTTP, "reloaded");
	ck_assert(has_loaded("microhttpd"));
	assert_serves();
	daemon_stop(&server);
}
END_TEST

START_TEST(a_library_that_cannot_be_loaded)
{
	static const char *const arguments[] = { "-c", "conf", NULL };
	static const char text[] =
	    "cannot be served: ./libmicrohttpd.so.12: file too short\n";
	struct daemon second;

	scratch_write("libmicrohttpd.so.12", "");
	setenv("LD_LIBRARY_PATH", ".", 1);
	scratch_write("conf", TCP HTTP);
	ck_assert_int_eq(daemon_run(&second, arguments), EX_UNAVAILABLE);
	ck_assert_msg(strstr(second.log, text) != NULL, "%s", second.log);
	free(second.log);

	/* On a reload nothing changes, and later it may be there. */
	daemon_start_config(&server, TCP);
	daemon_reload(&server, TCP HTTP, "reload refused");
	ck_assert_msg(strstr(server.log, text) != NULL, "%s", server.log);
	ck_assert_int_eq(unlink("libmicrohttpd.so.12"), 0);
	daemon_reload(&server, TCP HTTP, "reloaded");
	assert_serves();
	daemon_stop(&server);
}
END_TEST

START_TEST(only_get_and_head)
{
	static const char *const methods[] = { "POST", "PUT", "DELETE",
		"OPTIONS", "PATCH", "get", "NONSENSE" };
	char request[64];

	daemon_start_config(&server, TCP HTTP);
	int port = daemon_port(&server, HTTP_NAME);
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		snprintf(request, sizeof(request), "%s /live", methods[i]);
		assert_answer(client_http(port, request, ""), 405,
		    "Allow: GET, HEAD\r\n");
	}
	assert_answer(client_http(port, "POST /live", "Content-Length: 5\r\n"),
	    405, "only GET and HEAD\n");
	assert_serves();
	daemon_stop(&server);
}
END_TEST

START_TEST(figures_are_right)
{
	daemon_start_config(&server,
	    "limits: { max_connections = 7; kept_memory = 3; };\n" BOTH HTTP);
	char sample[128];
	int tcp_port = daemon_port(&server, "tcp *");
	int udp_port = daemon_port(&server, "udp *");
	int tcp = client_tcp(tcp_port), udp = client_udp(udp_port);

	close(client_tcp(tcp_port));
	for (int i = 0; i < 3; i++)
		client_talk(tcp, "hello");
	client_send(udp, "four", 4);
	client_expect_datagram(udp, "four", 4);
	client_send(udp, &(char[1401]){ 0 }, 1401);

	await_metric("timestampd_connections_open", 1);
	await_metric("timestampd_connections_limit", 7);
	await_metric("timestampd_connections_accepted_total", 2);
	await_metric("timestampd_connections_closed_total{cause=\"client\"}",
	    1);
	await_metric("timestampd_datagrams_dropped_total{cause=\"oversize\"}",
	    1);
	await_metric("timestampd_messages_received_total{protocol=\"tcp\"}", 3);
	await_metric("timestampd_messages_answered_total{protocol=\"tcp\"}", 3);
	await_metric("timestampd_received_bytes_total{protocol=\"tcp\"}", 15);
	await_metric("timestampd_sent_bytes_total{protocol=\"tcp\"}",
	    15 + 3 * STAMP_LEN);
	await_metric("timestampd_received_bytes_total{protocol=\"udp\"}",
	    4 + 1401);
	await_metric("timestampd_sent_bytes_total{protocol=\"udp\"}",
	    4 + STAMP_LEN);
	await_metric("timestampd_kept_limit_bytes", 3 << 20);
	await_metric("timestampd_kept_bytes", 0);
	await_metric("timestampd_ready", 1);
	snprintf(sample, sizeof(sample),
	    "timestampd_listener_clients_total{protocol=\"tcp\","
	    "listener=\"*:%d\"}",
	    tcp_port);
	await_metric(sample, 2);
	/* Of both threads. */
	snprintf(sample, sizeof(sample),
	    "timestampd_listener_datagrams_received_total{protocol=\"udp\","
	    "listener=\"*:%d\"}",
	    udp_port);
	await_metric(sample, 2);
	snprintf(sample, sizeof(sample),
	    "timestampd_listener_datagrams_dropped_total{protocol=\"udp\","
	    "listener=\"*:%d\"}",
	    udp_port);
	await_metric(sample, 1);
	/* Without arrival times. */
	ck_assert_ptr_null(strstr(get("/metrics"), "answer_delay"));
	close(tcp);
	close(udp);
	await_metric("timestampd_connections_open", 0);
	daemon_stop(&server);
}
END_TEST

/* The name has no series twice, or Prometheus would refuse all. */
START_TEST(a_listener_that_drains_shares_its_series)
{
	int fds[PLACES];
	char config[256], sample[128];

	daemon_start_config(&server, ONE TCP HTTP);
	int port = daemon_port(&server, "tcp *");
	int http = daemon_port(&server, HTTP_NAME);
	for (int i = 0; i < PLACES; i++)
		fds[i] = client_tcp(port);
	client_talk(fds[0], "hello");
	/* The clients that wait keep the old listener. */
	daemon_reload(&server,
	    ONE HTTP "listeners = ( { protocol = \"udp\"; port = 0; } );\n",
	    "reloaded");
	snprintf(config, sizeof(config),
	    ONE HTTP "listeners = ( { protocol = \"tcp\"; port = %d; } );\n",
	    port);
	daemon_reload(&server, config, "reloaded");
	snprintf(sample, sizeof(sample),
	    "timestampd_listener_clients_total{protocol=\"tcp\","
	    "listener=\"*:%d\"}",
	    port);
	const char *answer = client_http(http, "GET /metrics", "");
	const char *first = strstr(answer, sample);
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(strstr(first + 1, sample));
	for (int i = 0; i < PLACES; i++)
		close(fds[i]);
	daemon_stop(&server);
}
END_TEST

START_TEST(delays_are_counted_with_arrival)
{
	daemon_start_config(&server,
	    "stamp: { source = \"arrival\"; };\n" BOTH HTTP);
	int tcp = client_tcp(daemon_port(&server, "tcp *"));
	int udp = client_udp(daemon_port(&server, "udp *"));

	for (int i = 0; i < 3; i++)
		client_talk(tcp, "hello");
	client_send(udp, "four", 4);
	client_expect_datagram(udp, "four", 4);
	client_send(udp, &(char[1401]){ 0 }, 1401);
	await_metric("timestampd_datagrams_dropped_total{cause=\"oversize\"}",
	    1);
	/* The kernel need not know when the first data arrived. */
	while (strstr(get("/metrics"),
		   "\ntimestampd_answer_delay_seconds_count{protocol=\"tcp\"} "
		   "0\n") != NULL)
		client_talk(tcp, "hello");
	await_metric("timestampd_answer_delay_seconds_count{protocol=\"udp\"}",
	    1);
	await_metric("timestampd_answer_delay_seconds_bucket{protocol=\"udp\","
		     "le=\"+Inf\"}",
	    1);
	close(tcp);
	close(udp);
	daemon_stop(&server);
}
END_TEST

/* Sends bytes and the end, and reads what comes; it may be a reset. */
static const char *
send_raw(const char *bytes, size_t len)
{
	static char answer[65536];
	int fd = client_tcp(daemon_port(&server, HTTP_NAME));
	size_t got = 0;
	ssize_t n;

	/* The server may have closed already. */
	send(fd, bytes, len, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while ((n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
		got += (size_t)n;
	ck_assert(n == 0 || errno == ECONNRESET);
	answer[got] = '\0';
	close(fd);
	return answer;
}

static const char *const bad_requests[] = {
	"",
	"G",
	"GET /metrics",
	"GET /metrics HTTP/1.1",
	"GET /metrics HTTP/1.1\r\nHost: a\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"GET\r\n\r\n",
	"\r\n\r\n\r\n\r\n",
	"GET /live HTTP/9.9\r\n\r\n",
	"GET /live\r\n\r\n",
	": : :\r\n: :\r\n\r\n",
	"GET /live HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
	"GET /live HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
	"GET /%00%ff%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
};
#define BAD_REQUESTS (sizeof(bad_requests) / sizeof(*bad_requests))

START_TEST(bad_requests_get_no_figures)
{
	static char head[HEAD_LEN + 64];

	daemon_start_config(&server, TCP HTTP);
	for (size_t i = 0; i < BAD_REQUESTS; i++) {
		const char *answer = send_raw(bad_requests[i],
		    strlen(bad_requests[i]));
		ck_assert_msg(strstr(answer, "timestampd_") == NULL &&
				  (i > 7 || strstr(answer, " 200 ") == NULL),
		    "%zu: %s", i, answer);
	}
	/* A head of 64 KiB: one header, and many. */
	strcpy(head, "GET /metrics HTTP/1.1\r\nX: ");
	memset(head + strlen(head), 'x', HEAD_LEN);
	memcpy(head + sizeof(head) - 5, "\r\n\r\n", 4);
	ck_assert_ptr_null(strstr(send_raw(head, sizeof(head) - 1), " 200 "));
	for (size_t at = strlen("GET /metrics HTTP/1.1\r\n");
	     at + 8 < sizeof(head); at += 6)
		memcpy(head + at, "a: b\r\n", 6);
	ck_assert_ptr_null(strstr(send_raw(head, sizeof(head) - 1), " 200 "));
	assert_serves();
	ck_assert_int_eq(daemon_log_lines(&server), 0);
	daemon_stop(&server);
}
END_TEST

/* Also where nobody needs their places. */
START_TEST(silent_clients_are_ended)
{
	int fds[PLACES - 1];
	char answer[512];

	daemon_start_config(&server, TCP HTTP);
	int http = daemon_port(&server, HTTP_NAME);
	for (int i = 0; i < PLACES - 1; i++) {
		fds[i] = client_tcp(http);
		client_send(fds[i], "GET /live", i % 2 == 0 ? 9 : 1);
	}
	for (int i = 0; i < PLACES - 1; i++) {
		client_read_end(fds[i], answer, sizeof(answer));
		close(fds[i]);
	}
	assert_serves();
	daemon_stop(&server);
}
END_TEST

/*
 * One that sends byte after byte is never silent.  It has longer than one that is,
 * which came at the same time.
 */
START_TEST(slow_clients_are_ended)
{
	daemon_start_config(&server, TCP HTTP);
	int http = daemon_port(&server, HTTP_NAME), sent = 0;
	struct pollfd silent = { .fd = client_tcp(http), .events = POLLIN };
	struct pollfd client = { .fd = client_tcp(http), .events = POLLIN };
	bool outlives = false;

	client_send(client.fd, "GET /live HTTP/1.1\r\nX: ", 23);
	for (; poll(&client, 1, 500) == 0; sent++) {
		outlives |= poll(&silent, 1, 0) == 1;
		send(client.fd, "x", 1, MSG_NOSIGNAL);
	}
	ck_assert_msg(sent > 10 && sent < 40, "%d", sent);
	ck_assert(outlives);
	close(silent.fd);
	close(client.fd);
	assert_serves();
	daemon_stop(&server);
}
END_TEST

/* A balancer must not find it out of order because others ask for nothing. */
START_TEST(a_silent_crowd_is_not_in_the_way)
{
	static int fds[CROWD];

	daemon_start_config(&server, TCP HTTP);
	int http = daemon_port(&server, HTTP_NAME);
	int tcp = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(tcp, "hello");
	int files = daemon_open_files(&server);
	for (int i = 0; i < CROWD; i++)
		fds[i] = client_tcp(http);
	client_talk(tcp, "hello");
	ck_assert_int_le(daemon_open_files(&server), files + PLACES + 2);
	assert_serves();
	for (int i = 0; i < CROWD; i++)
		close(fds[i]);
	close(tcp);
	daemon_stop(&server);
}
END_TEST

START_TEST(a_crowd_is_answered)
{
	static int fds[CROWD];

	daemon_start_config(&server, TCP HTTP);
	int http = daemon_port(&server, HTTP_NAME);
	for (int i = 0; i < CROWD; i++) {
		fds[i] = client_tcp(http);
		client_send(fds[i], "GET /live HTTP/1.1\r\nHost: a\r\n\r\n",
		    31);
	}
	for (int i = 0; i < CROWD; i++) {
		char answer[512] = "";
		client_read_end(fds[i], answer, sizeof(answer) - 1);
		assert_answer(answer, 200, "all threads respond\n");
		close(fds[i]);
	}
	assert_serves();
	daemon_stop(&server);
}
END_TEST

/* The limit of the running server is lowered, so descriptors run out. */
START_TEST(a_client_waits_for_file_descriptors)
{
	static const char head[] = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
	struct rlimit none = { 3, 20000 }, enough = { 1000, 20000 };
	char answer[512] = "";

	if (!daemon_is_bare())
		return;
	daemon_start_config(&server, TCP HTTP);
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &none, &enough), 0);
	int fd = client_tcp(daemon_port(&server, HTTP_NAME));
	client_send(fd, head, strlen(head));
	daemon_await(&server, "http: accept: Too many open files");
	/* One that does not pause never sleeps meanwhile. */
	long sleeps = count_sleeps();
	while (count_sleeps() < sleeps + 5)
		;
	ck_assert_int_eq(prlimit(server.pid, RLIMIT_NOFILE, &enough, NULL), 0);
	client_read_end(fd, answer, sizeof(answer) - 1);
	assert_answer(answer, 200, "all threads respond\n");
	close(fd);
	assert_serves();
	ck_assert_int_eq(daemon_log_lines(&server), 1);
	daemon_stop(&server);
}
END_TEST

/* Those that do not read, and those that go away at once. */
START_TEST(clients_that_do_not_read_cost_nothing)
{
	static const char request[] =
	    "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
	static int fds[CROWD];

	daemon_start_config(&server, TCP HTTP);
	int http = daemon_port(&server, HTTP_NAME);
	for (int i = 0; i < CROWD; i++) {
		fds[i] = client_tcp(http);
		client_send(fds[i], request, strlen(request));
		if (i % 2 == 0)
			close(fds[i]);
	}
	assert_serves();
	for (int i = 1; i < CROWD; i += 2)
		close(fds[i]);
	daemon_stop(&server);
}
END_TEST

static const char *
http_at(int port)
{
	static char config[256];

	snprintf(config, sizeof(config), TCP "http: { port = %d; };\n", port);
	return config;
}

START_TEST(a_port_in_use)
{
	static const char *const arguments[] = { "-c", "conf", NULL };
	struct daemon second;
	char text[128];
	int port, fd = inet_server(SOCK_STREAM, &port);

	scratch_write("conf", http_at(port));
	ck_assert_int_eq(daemon_run(&second, arguments), EX_UNAVAILABLE);
	snprintf(text, sizeof(text),
	    "conf:2: http: tcp 127.0.0.1:%d: bind: Address already in use; "
	    "another process",
	    port);
	ck_assert_msg(strstr(second.log, text) != NULL, "%s", second.log);
	free(second.log);

	/* On a reload nothing changes, not even the listeners. */
	daemon_start_config(&server, TCP HTTP);
	daemon_reload(&server, http_at(port), "reload refused");
	ck_assert_ptr_nonnull(strstr(server.log, text));
	assert_serves();
	close(fd);
	daemon_reload(&server, http_at(port), "reloaded");
	assert_answer(client_http(port, "GET /live", ""), 200, "");
	daemon_stop(&server);
}
END_TEST

/* Neither is another process, and both are named. */
START_TEST(a_reload_that_swaps_with_a_listener_needs_a_restart)
{
	static const char *const at[] = { "\"tcp\"; address = \"127.0.0.1\"",
		"\"unix\"" };
	char key[300], config[1024], text[512], folder[128], moved[128];
	int port, fd = inet_server(SOCK_STREAM, &port);

	close(fd);
	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	if (_i < 2)
		snprintf(key, sizeof(key), "port = %d", port);
	else
		snprintf(key, sizeof(key), "path = \"%s/sock\"", folder);
	const char *listener = at[_i / 2];
	snprintf(moved, sizeof(moved), "%s", _i < 2 ? "tcp 127" : "unix /");
	if (_i % 2 == 0) {
		snprintf(config, sizeof(config), TCP "http: { %s; };\n", key);
		daemon_start_config(&server, config);
		snprintf(config, sizeof(config),
		    "listeners = ( { protocol = %s; %s; } );\n", listener, key);
		snprintf(text, sizeof(text), "needs a restart: http at %s",
		    strchr(moved, ' ') + 1);
	} else {
		snprintf(config, sizeof(config),
		    "listeners = ( { protocol = %s; %s; } );\n", listener, key);
		daemon_start_config(&server, config);
		snprintf(config, sizeof(config), TCP "http: { %s; };\n", key);
		snprintf(text, sizeof(text), "needs a restart: %s", moved);
	}
	daemon_reload(&server, config, text);
	daemon_await(&server, "of this server is in the way");
	daemon_await(&server, "reload refused");
	daemon_stop(&server);
}
END_TEST

/* A reload that is refused for another reason leaves nothing behind. */
START_TEST(a_refused_reload_closes_the_new_one)
{
	char config[512];
	int port, taken, fd = inet_server(SOCK_STREAM, &taken);
	int other = inet_server(SOCK_STREAM, &port);

	close(other);
	daemon_start_config(&server, TCP HTTP);
	int files = daemon_open_files(&server);
	snprintf(config, sizeof(config),
	    "http: { port = %d; };\n"
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\";\n"
	    "port = %d; } );\n",
	    port, taken);
	daemon_reload(&server, config, "reload refused");
	assert_serves();
	/* The last clients may not be closed yet. */
	while (daemon_open_files(&server) != files)
		;
	ck_assert_int_eq(daemon_log_lines(&server), 2);
	close(fd);
	daemon_stop(&server);
}
END_TEST

static const char *
get_at(const char *path)
{
	static char answer[65536];
	int fd = client_unix(path, SOCK_STREAM);

	client_send(fd, "GET /ready HTTP/1.1\r\nHost: a\r\n\r\n", 32);
	answer[client_read_end(fd, answer, sizeof(answer) - 1)] = '\0';
	close(fd);
	return answer;
}

START_TEST(a_reload_opens_moves_and_removes_it)
{
	char config[512], folder[64];
	struct stat status;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	daemon_start_config(&server, TCP);
	int files = daemon_open_files(&server);
	ck_assert_ptr_null(strstr(server.log, "http"));
	daemon_reload(&server, TCP HTTP, "reloaded");
	assert_serves();
	int port = daemon_port(&server, HTTP_NAME);
	/* The same: it stays. */
	daemon_reload(&server, TCP HTTP, "reloaded");
	ck_assert_int_eq(daemon_port(&server, HTTP_NAME), port);
	assert_serves();
	ck_assert_ptr_null(strstr(server.log, "no longer"));

	snprintf(config, sizeof(config), TCP "http: { path = \"%s/h\"; };\n",
	    folder);
	daemon_reload(&server, config, "no longer listening on http 127");
	daemon_await(&server, "reloaded");
	assert_answer(get_at("h"), 200, READY);
	ck_assert_int_eq(stat("h", &status), 0);
	ck_assert_int_eq(status.st_mode & 0777, 0666);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	close(fd);

	daemon_reload(&server, TCP, "reloaded");
	ck_assert_int_eq(access("h", F_OK), -1);
	/* The eventfd stays. */
	ck_assert_int_le(daemon_open_files(&server), files + 1);
	daemon_reload(&server, config, "reloaded");
	assert_answer(get_at("h"), 200, READY);
	daemon_stop(&server);
	ck_assert_int_eq(access("h", F_OK), -1);
}
END_TEST

START_TEST(a_passed_socket_is_served)
{
	int port;

	manager_open(0);
	manager_pass(inet_server(SOCK_STREAM, &port), "http");
	manager_start(&server, TCP);
	ck_assert_int_eq(daemon_port(&server, HTTP_NAME), port);
	assert_serves();
	/* It stays whatever is configured, as any passed socket. */
	daemon_reload(&server, TCP HTTP, "reloaded");
	assert_serves();
	daemon_reload(&server, TCP, "reloaded");
	assert_serves();
	daemon_stop(&server);

	/* A client between two processes waits for the second. */
	int fd = client_tcp(port);
	client_send(fd, "GET /live HTTP/1.1\r\nHost: a\r\n\r\n", 31);
	manager_start(&server, TCP);
	char answer[512] = "";
	client_read_end(fd, answer, sizeof(answer) - 1);
	assert_answer(answer, 200, "all threads respond\n");
	close(fd);
	daemon_stop(&server);
}
END_TEST

START_TEST(other_passed_sockets_are_not)
{
	int first, second, datagram;

	manager_open(0);
	manager_pass(inet_server(SOCK_DGRAM, &datagram), "http");
	manager_pass(inet_server(SOCK_STREAM, &first), "http");
	manager_pass(inet_server(SOCK_STREAM, &second), "http");
	manager_start(&server, TCP);
	ck_assert_int_eq(daemon_port(&server, HTTP_NAME), first);
	ck_assert_ptr_nonnull(strstr(server.log, "is not a stream socket"));
	ck_assert_ptr_nonnull(strstr(server.log, "only one socket is served"));
	assert_serves();
	daemon_stop(&server);
}
END_TEST

/* The built-in listeners are open beside it. */
START_TEST(a_passed_socket_is_not_a_listener)
{
	int port;

	/* Others may have the built-in port. */
	if (!inet_enter_network())
		return;
	manager_open(0);
	manager_pass(inet_server(SOCK_STREAM, &port), "http");
	manager_start(&server, "");
	ck_assert_int_eq(daemon_port(&server, "tcp *"), 21567);
	daemon_stop(&server);
}
END_TEST

START_TEST(not_ready_at_the_limit)
{
	daemon_start_config(&server,
	    "limits: { max_connections = 2; };\n" TCP HTTP);
	int port = daemon_port(&server, "tcp *");
	int first = client_tcp(port);

	client_talk(first, "hello");
	assert_answer(get("/ready"), 200, READY);
	int second = client_tcp(port);
	client_talk(second, "hello");
	while (strstr(get("/ready"), READY) != NULL)
		;
	assert_answer(get("/ready"), 503, "\nmax_connections are open\n");
	await_metric("timestampd_ready", 0);
	assert_answer(get("/live"), 200, "");
	int third = client_tcp(port);
	close(first);
	client_talk(third, "hello");
	while (strstr(get("/ready"), READY) != NULL)
		;
	close(second);
	while (strstr(get("/ready"), READY) == NULL)
		;
	close(third);
	daemon_stop(&server);
}
END_TEST

/* A client that does not take its replies: a stop waits for it. */
static int
stall(void)
{
	static char data[1 << 20];
	int fd = client_tcp(daemon_port(&server, "tcp *"));

	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return fd;
}

START_TEST(not_ready_while_stopping)
{
	daemon_start_config(&server,
	    "limits: { drain_timeout = 3600; };\n" TCP HTTP);
	int fd = stall();

	assert_answer(get("/ready"), 200, READY);
	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "stopping");
	while (strstr(get("/ready"), READY) != NULL)
		;
	assert_answer(get("/ready"), 503, "\nstopping\n");
	assert_answer(get("/live"), 200, "");
	assert_answer(get("/metrics"), 200, "\ntimestampd_ready 0\n");
	daemon_stop(&server);
	close(fd);
}
END_TEST

START_TEST(a_lame_duck_serves)
{
	manager_open(0);
	manager_start(&server, "limits: { lame_duck = 3600; };\n" TCP HTTP);
	daemon_signal(&server, _i == 0 ? SIGTERM : SIGINT);
	daemon_await(&server,
	    "not ready any more: stopping in 3600 s (lame_duck)");
	manager_await("EXTEND_TIMEOUT_USEC=3610000000");
	while (strstr(get("/ready"), READY) != NULL)
		;
	assert_answer(get("/ready"), 503, "\nlame duck: stopping soon\n");
	assert_answer(get("/live"), 200, "");
	int fd = client_tcp(daemon_port(&server, "tcp *"));
	client_talk(fd, "hello");
	daemon_reload(&server, TCP, "reload refused: the server is stopping");
	client_talk(fd, "hello");
	/* A second signal ends the wait, not the drain. */
	daemon_signal(&server, SIGTERM);
	manager_await("STOPPING=1");
	manager_await("EXTEND_TIMEOUT_USEC=10000000");
	client_expect_end(fd);
	close(fd);
	daemon_finish(&server);
}
END_TEST

START_TEST(a_lame_duck_ends_by_itself)
{
	daemon_start_config(&server, "limits: { lame_duck = 1; };\n" TCP);
	int fd = client_tcp(daemon_port(&server, "tcp *"));

	daemon_signal(&server, SIGTERM);
	daemon_await(&server, "not ready any more");
	client_talk(fd, "hello");
	client_expect_end(fd);
	close(fd);
	int status = daemon_wait(&server);
	ck_assert_int_eq(status, 0);
	ck_assert_msg(strstr(server.log, "drain_timeout") == NULL, "%s",
	    server.log);
	free(server.log);
}
END_TEST

Suite *
http_suite(void)
{
	Suite *suite = suite_create("http");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, each_resource);
	tcase_add_test(tests, only_get_and_head);
	tcase_add_test(tests, figures_are_right);
	tcase_add_test(tests, a_listener_that_drains_shares_its_series);
	tcase_add_test(tests, delays_are_counted_with_arrival);
	tcase_add_test(tests, bad_requests_get_no_figures);
	tcase_add_test(tests, silent_clients_are_ended);
	tcase_add_test(tests, slow_clients_are_ended);
	tcase_add_test(tests, a_silent_crowd_is_not_in_the_way);
	tcase_add_test(tests, a_crowd_is_answered);
	tcase_add_test(tests, a_client_waits_for_file_descriptors);
	tcase_add_test(tests, clients_that_do_not_read_cost_nothing);
	tcase_add_test(tests, without_it_no_library_is_loaded);
	tcase_add_test(tests, a_library_that_cannot_be_loaded);
	tcase_add_test(tests, a_port_in_use);
	tcase_add_loop_test(tests,
	    a_reload_that_swaps_with_a_listener_needs_a_restart, 0, 4);
	tcase_add_test(tests, a_refused_reload_closes_the_new_one);
	tcase_add_test(tests, a_reload_opens_moves_and_removes_it);
	tcase_add_test(tests, a_passed_socket_is_served);
	tcase_add_test(tests, other_passed_sockets_are_not);
	tcase_add_test(tests, a_passed_socket_is_not_a_listener);
	tcase_add_test(tests, not_ready_at_the_limit);
	tcase_add_test(tests, not_ready_while_stopping);
	tcase_add_loop_test(tests, a_lame_duck_serves, 0, 2);
	tcase_add_test(tests, a_lame_duck_ends_by_itself);
	suite_add_tcase(suite, tests);
	return suite;
}
