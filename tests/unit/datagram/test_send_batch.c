#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/send_batch.h"
#include "harness/client.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"
#include "unit/suites.h"

static struct send_batch *outbox;
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
	outbox = malloc(sizeof(*outbox));
	send_batch_init(outbox, fd, PROTOCOL_UDP, &counters);
	request = (struct msghdr){
		.msg_name = &client_address.storage,
		.msg_namelen = client_address.len,
		.msg_control = control,
	};
}

static void
stop(void)
{
	free(outbox);
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
add_burst(size_t count)
{
	cmsg_set_segment(&request, 6);
	send_batch_begin_burst(outbox, 6);
	for (size_t i = 0; i < count; i++)
		send_batch_add_segment(outbox, &request, "[T] ", 4, "ab",
		    i + 1 < count ? 2 : 1);
}

static void
expect_burst(size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect("[T] ab", i + 1 < count ? 6 : 5);
}

START_TEST(single_ones_and_a_burst)
{
	char one[] = "one";

	send_batch_add(outbox, &request, one, 3);
	add_burst(3);
	send_batch_flush(outbox);
	expect("one", 3);
	expect_burst(3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 4);
	ck_assert_uint_eq(traffic(TRAFFIC_BYTES_OUT), 3 + 6 + 6 + 5);
}
END_TEST

START_TEST(more_than_one_send_takes)
{
	char one[] = "one";

	add_burst(3 * BURST_SEGMENTS_MAX + 1);
	send_batch_flush(outbox);
	expect_burst(3 * BURST_SEGMENTS_MAX + 1);
	request.msg_controllen = 0;
	for (int i = 0; i < SEND_BATCH_ROWS + 1; i++)
		send_batch_add(outbox, &request, one, 3);
	send_batch_flush(outbox);
	for (int i = 0; i < SEND_BATCH_ROWS + 1; i++)
		expect("one", 3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT),
	    3 * BURST_SEGMENTS_MAX + 1 + SEND_BATCH_ROWS + 1);
}
END_TEST

/* Without being asked: what is added is more than there is room for. */
START_TEST(much_goes_by_and_by)
{
	static char data[20000];
	char stamp[1024];

	memset(stamp, '*', sizeof(stamp));
	cmsg_set_segment(&request, sizeof(stamp) + sizeof(data));
	for (int i = 0; i < 10; i++) {
		send_batch_begin_burst(outbox, sizeof(stamp) + sizeof(data));
		for (int j = 0; j < 3; j++)
			send_batch_add_segment(outbox, &request, stamp,
			    sizeof(stamp), data, sizeof(data));
	}
	ck_assert_uint_gt(traffic(TRAFFIC_MESSAGES_OUT), 0);
	send_batch_flush(outbox);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 30);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 0);
}
END_TEST

START_TEST(an_empty_burst_sends_nothing)
{
	cmsg_set_segment(&request, 6);
	send_batch_begin_burst(outbox, 6);
	send_batch_flush(outbox);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 0);
	ck_assert_int_eq(recv(client, (char[1]){ 0 }, 1, MSG_DONTWAIT), -1);
}
END_TEST

/* As where the device computes no checksums: EINVAL. */
START_TEST(what_cannot_go_as_a_burst_goes_singly)
{
	char one[] = "one";
	int on = 1;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on,
			     sizeof(on)),
	    0);
	add_burst(5);
	struct msghdr plain = request;
	plain.msg_controllen = 0;
	send_batch_add(outbox, &plain, one, 3);
	send_batch_flush(outbox);
	expect_burst(5);
	expect("one", 3);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 6);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 0);
}
END_TEST

START_TEST(each_of_a_lost_burst_is_counted)
{
	client_address.in.sin_port = 0;
	add_burst(5);
	send_batch_flush(outbox);
	ck_assert_uint_eq(counters_get(&counters, COUNTER_DROPPED_SEND), 5);
	ck_assert_uint_eq(traffic(TRAFFIC_MESSAGES_OUT), 0);
}
END_TEST

Suite *
send_batch_suite(void)
{
	Suite *suite = suite_create("send_batch");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_test(tests, single_ones_and_a_burst);
	tcase_add_test(tests, more_than_one_send_takes);
	tcase_add_test(tests, much_goes_by_and_by);
	tcase_add_test(tests, an_empty_burst_sends_nothing);
	tcase_add_test(tests, what_cannot_go_as_a_burst_goes_singly);
	tcase_add_test(tests, each_of_a_lost_burst_is_counted);
	suite_add_tcase(suite, tests);
	return suite;
}
