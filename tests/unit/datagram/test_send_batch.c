#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/send_batch.h"
#include "harness/client.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"
#include "unit/suites.h"

static struct send_batch *batch;
static struct counters counters;
static struct sockaddr_any client_address;
static _Alignas(struct cmsghdr) char control[CMSG_UDP_MAX];
static struct msghdr request;
static int fd, client;

static void
start(void)
{
	struct sockaddr_in local = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int room = 1 << 22;

	client = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(client, (struct sockaddr *)&local, sizeof(local)),
	    0);
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	client_address.len = sizeof(client_address.storage);
	ck_assert_int_eq(getsockname(client, &client_address.any,
			     &client_address.len),
	    0);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	batch = malloc(sizeof(*batch));
	send_batch_init(batch, fd, PROTOCOL_UDP, &counters);
	request = (struct msghdr){
		.msg_name = &client_address.storage,
		.msg_namelen = client_address.len,
		.msg_control = control,
	};
}

static void
stop(void)
{
	free(batch);
	close(fd);
	close(client);
}

static void
expect(const void *text, size_t len)
{
	static char reply[65536];

	ck_assert_int_eq(recv(client, reply, sizeof(reply), 0), (ssize_t)len);
	ck_assert_mem_eq(reply, text, len);
}

static uint64_t
traffic(enum traffic field)
{
	return counters.traffic[PROTOCOL_UDP][field];
}

static void
begin_segments(size_t segment_len)
{
	request.msg_controllen = 0;
	send_batch_begin_segments(batch, &request, segment_len);
}

/* The last is shorter. */
static void
add_segments(size_t count)
{
	begin_segments(6);
	for (size_t i = 0; i < count; i++)
		send_batch_add_segment(batch, "[T] ", 4, "ab",
		    i + 1 < count ? 2 : 1);
}

static void
expect_segments(size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect("[T] ab", i + 1 < count ? 6 : 5);
}

START_TEST(datagrams_and_segments_are_sent_in_order)
{
	char one[] = "one";

	send_batch_add(batch, &request, one, 3);
	add_segments(3);
	send_batch_flush(batch);
	expect("one", 3);
	expect_segments(3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 4);
	ck_assert_uint_eq(traffic(TRAFFIC_BYTES_OUT), 3 + 6 + 6 + 5);
}
END_TEST

START_TEST(more_rows_than_fit_are_sent)
{
	char one[] = "one";

	add_segments(3 * SEND_BATCH_SEGMENTS + 1);
	send_batch_flush(batch);
	expect_segments(3 * SEND_BATCH_SEGMENTS + 1);
	request.msg_controllen = 0;
	for (int i = 0; i < SEND_BATCH_ROWS + 1; i++)
		send_batch_add(batch, &request, one, 3);
	send_batch_flush(batch);
	for (int i = 0; i < SEND_BATCH_ROWS + 1; i++)
		expect("one", 3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT),
	    3 * SEND_BATCH_SEGMENTS + 1 + SEND_BATCH_ROWS + 1);
}
END_TEST

/* More bytes than there is room for: a part is sent without a flush. */
START_TEST(more_bytes_than_fit_are_sent)
{
	static char data[20000];
	char stamp[1024];

	memset(stamp, '*', sizeof(stamp));
	for (int i = 0; i < 10; i++) {
		begin_segments(sizeof(stamp) + sizeof(data));
		for (int j = 0; j < 3; j++)
			send_batch_add_segment(batch, stamp, sizeof(stamp),
			    data, sizeof(data));
	}
	ck_assert_uint_gt(traffic(TRAFFIC_MESSAGES_OUT), 0);
	send_batch_flush(batch);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 30);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 0);
}
END_TEST

START_TEST(no_segments_send_nothing)
{
	begin_segments(6);
	send_batch_flush(batch);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 0);
	ck_assert_int_eq(recv(client, (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
}
END_TEST

static void
expect_rows(const size_t *lens, int count)
{
	ck_assert_int_eq(batch->row_count, count);
	for (int i = 0; i < count; i++)
		ck_assert_uint_eq(batch->pieces[i].iov_len, lens[i]);
}

START_TEST(nothing_follows_a_shorter_segment)
{
	begin_segments(6);
	send_batch_add_segment(batch, "[T] ", 4, "ab", 2);
	send_batch_add_segment(batch, "[T] ", 4, "c", 1);
	send_batch_add_segment(batch, "[T] ", 4, "", 0);
	send_batch_add_segment(batch, "[T] ", 4, "de", 2);
	expect_rows((size_t[]){ 11, 4, 6 }, 3);
	send_batch_flush(batch);
	expect("[T] ab", 6);
	expect("[T] c", 5);
	expect("[T] ", 4);
	expect("[T] de", 6);
}
END_TEST

START_TEST(each_run_of_segments_has_its_own_row)
{
	begin_segments(6);
	send_batch_add_segment(batch, "[T] ", 4, "ab", 2);
	begin_segments(6);
	send_batch_add_segment(batch, "[T] ", 4, "cd", 2);
	expect_rows((size_t[]){ 6, 6 }, 2);
	send_batch_flush(batch);
	expect("[T] ab", 6);
	expect("[T] cd", 6);
}
END_TEST

START_TEST(a_row_has_at_most_64_segments)
{
	begin_segments(1);
	for (int i = 0; i < SEND_BATCH_SEGMENTS + 1; i++)
		send_batch_add_segment(batch, "", 0, "x", 1);
	expect_rows((size_t[]){ SEND_BATCH_SEGMENTS, 1 }, 2);
}
END_TEST

START_TEST(a_row_has_at_most_65507_bytes)
{
	static char data[1000];

	begin_segments(sizeof(data) + 27);
	for (int i = 0; i < 64; i++)
		send_batch_add_segment(batch, "[Sat Nov  7 09:05:03 2026] ", 27,
		    data, sizeof(data));
	expect_rows((size_t[]){ 63 * 1027UL, 1027 }, 2);
	send_batch_flush(batch);
	/* Segments that are too long for any datagram: a short one fits. */
	begin_segments(SEND_BATCH_ROW_MAX + 1);
	send_batch_add_segment(batch, "[T] ", 4, "x", 1);
	send_batch_flush(batch);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 0);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 65);
}
END_TEST

/* The kernel says EINVAL, as it does if the device computes no checksums. */
START_TEST(segments_are_sent_singly_where_the_kernel_cannot)
{
	char one[] = "one";
	int on = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on,
			     sizeof(on)),
	    0);
	add_segments(5);
	struct msghdr plain = request;
	plain.msg_controllen = 0;
	send_batch_add(batch, &plain, one, 3);
	send_batch_flush(batch);
	expect_segments(5);
	expect("one", 3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 6);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 0);
}
END_TEST

START_TEST(each_dropped_segment_is_counted)
{
	client_address.in.sin_port = 0;
	add_segments(5);
	send_batch_flush(batch);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 5);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 0);
}
END_TEST

/* Sends from a socket with little room to hosts that do not answer ARP. */
static void
send_to_the_silent(enum protocol protocol)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(9),
	};
	int sender = socket(AF_INET, SOCK_DGRAM, 0), least = 1;
	char one[] = "one";

	setsockopt(sender, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	send_batch_init(batch, sender, protocol, &counters);
	request = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof(to) };
	for (uint32_t host = 2; host < 100; host++) {
		to.sin_addr.s_addr = htonl(0x0a630000 + host);
		send_batch_add(batch, &request, one, 3);
		send_batch_flush(batch);
	}
	close(sender);
}

/* The lines that it logs; NULL: this user can't make a network. */
static const char *
logged_about_the_silent(enum protocol protocol)
{
	static char text[8192];
	int ends[2], standard_error = dup(STDERR_FILENO);

	if (unshare(CLONE_NEWNET) == -1) {
		ck_assert_int_eq(errno, EPERM);
		puts("skipped: this user may not create a network namespace");
		return NULL;
	}
	ck_assert_int_eq(system("ip link add name veth1 type veth peer name "
				"veth2 && "
				"ip address add 10.99.0.1/24 dev veth1 && "
				"ip link set veth1 up && ip link set veth2 up"),
	    0);
	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	send_to_the_silent(protocol);
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	ssize_t len = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	text[len > 0 ? len : 0] = '\0';
	ck_assert_uint_gt(counters_get(&counters, COUNTER_DROPPED_SEND), 1);
	return text;
}

START_TEST(a_full_send_buffer_is_logged_once)
{
	const char *text = logged_about_the_silent(PROTOCOL_UDP);

	if (text == NULL)
		return;
	const char *end = strchr(text, '\n');
	ck_assert_ptr_nonnull(strstr(text, "replies are dropped"));
	ck_assert_ptr_nonnull(strstr(text, "net.core.wmem_max"));
	ck_assert_str_eq(end, "\n");
}
END_TEST

/* A line would tell of a client. */
START_TEST(a_unix_client_that_does_not_read_is_not_logged)
{
	const char *text = logged_about_the_silent(PROTOCOL_UNIX_DGRAM);

	if (text != NULL)
		ck_assert_str_eq(text, "");
}
END_TEST

Suite *
send_batch_suite(void)
{
	Suite *suite = suite_create("send_batch");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, datagrams_and_segments_are_sent_in_order);
	tcase_add_test(tests, more_rows_than_fit_are_sent);
	tcase_add_test(tests, more_bytes_than_fit_are_sent);
	tcase_add_test(tests, no_segments_send_nothing);
	tcase_add_test(tests, nothing_follows_a_shorter_segment);
	tcase_add_test(tests, each_run_of_segments_has_its_own_row);
	tcase_add_test(tests, a_row_has_at_most_64_segments);
	tcase_add_test(tests, a_row_has_at_most_65507_bytes);
	tcase_add_test(tests, segments_are_sent_singly_where_the_kernel_cannot);
	tcase_add_test(tests, each_dropped_segment_is_counted);
	tcase_add_test(tests, a_full_send_buffer_is_logged_once);
	tcase_add_test(tests, a_unix_client_that_does_not_read_is_not_logged);
	suite_add_tcase(suite, tests);
	return suite;
}
