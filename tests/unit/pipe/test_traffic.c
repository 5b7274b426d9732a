#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/scratch.h"
#include "pipe/silence.h"
#include "unit/suites.h"

#define LINE_LEN (16UL << 20)

static struct traffic traffic;
static char target_text[100];
static struct client_options options = { .quiet = true,
	.wait_ns = 5000000000,
	.window_bytes = 65536,
	.has_give_up = true,
	.give_up_ns = 1000000000 };

/* A TCP socket at a port of its own, which options name. */
static int
bind_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(target_text, sizeof(target_text), "tcp:127.0.0.1:%d",
	    ntohs(address.sin_port));
	ck_assert_int_eq(target_parse(&options.target, target_text), 0);
	return fd;
}

/* Makes one attempt. */
static void
try_to_connect(void)
{
	struct pollfd event = { traffic.carrier.dial.event, POLLIN, 0 };

	traffic_connect(&traffic);
	ck_assert_int_eq(poll(&event, 1, -1), 1);
	traffic_connected(&traffic);
	ck_assert_int_eq(traffic.status, TRAFFIC_GOES_ON);
}

START_TEST(a_connection_ends_the_trouble_of_an_idle_client)
{
	int server = bind_server();

	ck_assert_int_eq(traffic_init(&traffic, &options), 0);
	uint64_t begin_ms = traffic.now_ms;
	try_to_connect();
	ck_assert_int_eq(traffic.carrier.fd, -1);
	ck_assert_uint_eq(carrier_end_ms(&traffic.carrier), begin_ms + 1000);
	ck_assert_int_eq(listen(server, 1), 0);
	traffic.now_ms = traffic.carrier.retry_ms;
	try_to_connect();
	ck_assert_int_ne(traffic.carrier.fd, -1);
	ck_assert_uint_eq(carrier_end_ms(&traffic.carrier), UINT64_MAX);
	traffic_free(&traffic);
	close(server);
}
END_TEST

/* A Unix socket in this folder, which options name. */
static int
listen_unix(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
		.sun_path = "socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_ptr_nonnull(getcwd(target_text, sizeof(target_text)));
	strcat(target_text, "/socket");
	ck_assert_int_eq(target_parse(&options.target, target_text), 0);
	return fd;
}

/* Connects, and reads a long line. */
static void
read_long_line(void)
{
	static char zeros[65536];

	scratch_write("input", "");
	int input = open("input", O_RDWR);
	for (size_t n = 0; n < LINE_LEN; n += sizeof(zeros))
		ck_assert_int_eq(write(input, zeros, sizeof(zeros)),
		    sizeof(zeros));
	lseek(input, 0, SEEK_SET);
	dup2(input, STDIN_FILENO);
	close(input);
	ck_assert_int_eq(traffic_init(&traffic, &options), 0);
	try_to_connect();
	while (!traffic.input_ended)
		traffic_read_input(&traffic);
}

/* Sends what the peer takes, of which it reads a part. */
static void
pass(int peer)
{
	static char bytes[65536];

	for (size_t n = 0; n < LINE_LEN / 4;) {
		for (traffic.is_full = false; !traffic.is_full;)
			traffic_send(&traffic);
		n += (size_t)recv(peer, bytes, sizeof(bytes), 0);
	}
}

START_TEST(a_long_line_has_its_time)
{
	scratch_enter();
	int server = listen_unix();
	read_long_line();
	int peer = accept(server, NULL, NULL);
	pass(peer);
	silence_note(&traffic);
	ck_assert(!traffic.carrier.reported);
	/* Nothing has moved since. */
	silence_note(&traffic);
	ck_assert(traffic.carrier.reported);
	pass(peer);
	traffic.now_ms = carrier_end_ms(&traffic.carrier);
	silence_give_up(&traffic);
	ck_assert_int_eq(traffic.status, TRAFFIC_GOES_ON);
	ck_assert_uint_eq(carrier_end_ms(&traffic.carrier),
	    traffic.now_ms + 1000);
	silence_give_up(&traffic);
	ck_assert_int_eq(traffic.status, EX_TEMPFAIL);
	traffic_free(&traffic);
	close(peer);
	close(server);
	scratch_leave();
}
END_TEST

Suite *
traffic_suite(void)
{
	Suite *suite = suite_create("traffic");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_connection_ends_the_trouble_of_an_idle_client);
	tcase_add_test(tests, a_long_line_has_its_time);
	suite_add_tcase(suite, tests);
	return suite;
}
