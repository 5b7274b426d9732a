#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/manager.h"
#include "harness/scratch.h"
#include "server/handover.h"
#include "unit/suites.h"

#define IDLE                                                                   \
	{                                                                      \
		.protocol = PROTOCOL_TCP, .framing = FRAMING_CHUNK,            \
		.line_start = 1, .has_ended = 1                                \
	}
#define BUSY                                                                   \
	{                                                                      \
		.protocol = PROTOCOL_UNIX, .framing = FRAMING_LINE,            \
		.messages = 3, .idle_ms = 299999, .arrived_s = 1795223700,     \
		.arrived_ns = 999999999, .out_len = 4, .in_len = 2             \
	}

/* A file of two entries, of which the second has bytes. */
struct image {
	struct handover_head head;
	struct handover_entry entries[2];
	char bytes[6];
};

static struct image
make_image(void)
{
	return (struct image){ HANDOVER_HEAD(2), { IDLE, BUSY }, "out\nin" };
}
#define IMAGE_LEN (offsetof(struct image, bytes) + 6)

START_TEST(entries_are_read_in_order)
{
	struct image image = make_image();
	struct handover_file file;
	struct conn_state state;

	ck_assert(handover_begin(&file, (char *)&image, IMAGE_LEN));
	ck_assert_uint_eq(file.count, 2);
	ck_assert(handover_next(&file, &state));
	ck_assert_int_eq(state.protocol, PROTOCOL_TCP);
	ck_assert(state.line_start);
	ck_assert(state.has_ended);
	ck_assert_uint_eq(state.out_len + state.in_len, 0);
	ck_assert(handover_next(&file, &state));
	ck_assert_int_eq(state.protocol, PROTOCOL_UNIX);
	ck_assert_int_eq(state.framing, FRAMING_LINE);
	ck_assert(!state.line_start);
	ck_assert(!state.has_ended);
	ck_assert_int_eq(state.arrived.tv_sec, 1795223700);
	ck_assert_int_eq(state.arrived.tv_nsec, 999999999);
	ck_assert_uint_eq(state.messages, 3);
	ck_assert_uint_eq(state.idle_ms, 299999);
	ck_assert_uint_eq(state.out_len, 4);
	ck_assert_uint_eq(state.in_len, 2);
	ck_assert_mem_eq(state.bytes, "out\nin", 6);
	ck_assert(!handover_next(&file, &state));
}
END_TEST

START_TEST(none_is_good_too)
{
	struct handover_head head = HANDOVER_HEAD(0);
	struct handover_file file;
	struct conn_state state;

	ck_assert(handover_begin(&file, (char *)&head, sizeof(head)));
	ck_assert_uint_eq(file.count, 0);
	ck_assert(!handover_next(&file, &state));
}
END_TEST

START_TEST(a_file_that_is_cut_is_refused_whole)
{
	struct image image = make_image();
	struct handover_file file;
	struct conn_state state;

	for (size_t len = 0; len < IMAGE_LEN; len++) {
		ck_assert(!handover_begin(&file, (char *)&image, len));
		ck_assert(!handover_next(&file, &state));
	}
}
END_TEST

#define FIRST(field, value)                                                    \
	{                                                                      \
		offsetof(struct image, entries[0].field),                      \
		    sizeof(((struct handover_entry *)0)->field), value         \
	}
#define SECOND(field, value)                                                   \
	{                                                                      \
		offsetof(struct image, entries[1].field),                      \
		    sizeof(((struct handover_entry *)0)->field), value         \
	}

/* One field, of another value than in the image. */
static const struct {
	size_t offset, size;
	uint64_t value;
} wrong[] = {
	{ 0, 1, 'T' },
	{ offsetof(struct handover_head, name) + 22, 1, '1' },
	{ offsetof(struct handover_head, name) + 23, 1, 1 },
	{ offsetof(struct handover_head, entry_size), 4, 48 },
	{ offsetof(struct handover_head, count), 4, 1 },
	{ offsetof(struct handover_head, count), 4, 3 },
	{ offsetof(struct handover_head, count), 4, UINT32_MAX },
	FIRST(protocol, PROTOCOL_COUNT),
	FIRST(protocol, UINT32_MAX),
	FIRST(framing, FRAMING_LINE + 1),
	FIRST(line_start, 2),
	FIRST(has_ended, 2),
	FIRST(has_ended, UINT16_MAX),
	FIRST(proxy, PROXY_COUNT),
	FIRST(proxy, UINT16_MAX),
	/* The client would be in the next entry, and is not there. */
	FIRST(proxy, PROXY_KNOWN),
	FIRST(arrived_ns, 1000000000),
	FIRST(arrived_s, 253402300800),
	FIRST(arrived_s, UINT64_MAX),
	FIRST(out_len, 1),
	FIRST(in_len, 1),
	FIRST(in_len, UINT64_MAX),
	SECOND(out_len, 3),
	SECOND(out_len, 5),
	SECOND(out_len, UINT64_MAX),
	SECOND(in_len, 1),
	SECOND(in_len, UINT64_MAX - 3),
};

START_TEST(anything_else_is_refused_whole)
{
	struct image image = make_image();
	struct handover_file file;
	struct conn_state state;

	uint32_t half = (uint32_t)wrong[_i].value;
	uint16_t quarter = (uint16_t)wrong[_i].value;
	char byte = (char)wrong[_i].value;
	const void *value = wrong[_i].size == 8 ? (const void *)&wrong[_i].value
	                  : wrong[_i].size == 4 ? (const void *)&half
	                  : wrong[_i].size == 2 ? (const void *)&quarter
	                                        : (const void *)&byte;
	memcpy((char *)&image + wrong[_i].offset, value, wrong[_i].size);
	ck_assert(!handover_begin(&file, (char *)&image, IMAGE_LEN));
	ck_assert(!handover_next(&file, &state));
}
END_TEST

/* The client is between the entry and its bytes. */
static const struct {
	struct handover_client client;
	const char *text; /* NULL: no client can be so */
} clients[] = {
	{ { AF_INET, 0x901f, { 192, 0, 2, 7 } }, "192.0.2.7:8080" },
	{ { AF_INET6, 0x901f, { 0x20, 1, 0xd, 0xb8, [15] = 7 } },
	    "[2001:db8::7]:8080" },
	{ { AF_UNIX, 0, { 0 } }, "unnamed" },
	{ { AF_UNSPEC, 0, { 0 } }, NULL },
	{ { AF_PACKET, 0, { 0 } }, NULL },
};

struct __attribute__((packed)) client_image {
	struct handover_head head;
	struct handover_entry first;
	struct handover_client client;
	char bytes[4];
	struct handover_entry second;
};

START_TEST(the_client_is_read)
{
	struct client_image image = {
		.head = HANDOVER_HEAD(2),
		.first = { .out_len = 4,
		    .line_start = 1,
		    .proxy = PROXY_KNOWN },
		.client = clients[_i].client,
		.bytes = "out",
		.second = { .proxy = PROXY_NEEDED },
	};
	struct handover_file file;
	struct conn_state state;
	char text[SOCKADDR_TEXT_MAX];
	bool is_good = handover_begin(&file, (char *)&image, sizeof(image));

	ck_assert(is_good == (clients[_i].text != NULL));
	if (!is_good)
		return;
	ck_assert(handover_next(&file, &state));
	ck_assert_mem_eq(state.bytes, "out", 4);
	struct conn *conn = conn_restore(-1, &state, 0);
	ck_assert_int_eq(conn->want, CONN_WANT_WRITE);
	proxy_client_text(conn, text, sizeof(text));
	ck_assert_str_eq(text, clients[_i].text);
	conn_free(conn);
	ck_assert(handover_next(&file, &state));
	conn = conn_restore(-1, &state, 0);
	ck_assert_int_eq(conn->want, CONN_WANT_HEADER);
	conn_free(conn);
	for (size_t len = 0; len < sizeof(image); len++)
		ck_assert(!handover_begin(&file, (char *)&image, len));
}
END_TEST

static const struct proxy awaited = { .due = PROXY_NEEDED };

static const struct conn_state impossible[] = {
	{ .out_len = 70000, .bytes = "" },
	{ .framing = FRAMING_LINE, .in_len = 50000, .bytes = "" },
	{ .framing = FRAMING_LINE,
	    .out_len = 40000,
	    .in_len = 30000,
	    .bytes = "" },
	{ .framing = FRAMING_CHUNK, .out_len = 1, .in_len = 1, .bytes = "" },
	{ .out_len = 1, .bytes = "", .has_ended = true },
	{ .out_len = 1, .bytes = "o", .proxy = &awaited },
	{ .has_ended = true, .proxy = &awaited },
	{ .framing = FRAMING_LINE,
	    .in_len = 1,
	    .bytes = "i",
	    .proxy = &awaited },
};

START_TEST(a_state_that_cannot_be_is_refused)
{
	ck_assert_ptr_null(conn_restore(-1, &impossible[_i], 0));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* It may be longer than the clock has run. */
START_TEST(the_time_of_silence_goes_on)
{
	struct conn_state state = { .idle_ms = 300 }, saved;

	struct conn *conn = conn_restore(-1, &state, 1000);
	conn_save(conn, &saved, 1050);
	ck_assert_uint_eq(saved.idle_ms, 350);
	conn_free(conn);
	conn = conn_restore(-1, &state, 200);
	conn_save(conn, &saved, 250);
	ck_assert_uint_eq(saved.idle_ms, 250);
	conn_free(conn);
}
END_TEST

/* A client that has ended its side still has to take its replies. */
START_TEST(an_ended_client_stays_ended)
{
	struct conn_state state = { .idle_ms = 300, .has_ended = true }, saved;

	struct conn *conn = conn_restore(-1, &state, 1000);
	ck_assert_int_eq(conn->want, CONN_WANT_TAKEN);
	conn_save(conn, &saved, 1050);
	ck_assert(saved.has_ended);
	ck_assert_uint_eq(saved.idle_ms, 350);
	conn_free(conn);
}
END_TEST

/* Without a manager, and with one that says it has a store, but has none. */
START_TEST(what_is_not_kept_stays)
{
	static struct counters counters;
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	int ends[2];

	unsetenv("NOTIFY_SOCKET");
	if (_i == 1) {
		manager_open(0);
		setenv("FDSTORE", "1", 1);
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	struct conn *conn = conn_new(ends[0], PROTOCOL_UNIX, FRAMING_LINE, 0);
	TAILQ_INSERT_TAIL(&list, conn, link);
	handover_store(&list, &counters);
	ck_assert_ptr_eq(TAILQ_FIRST(&list), conn);
	ck_assert_ptr_null(TAILQ_NEXT(conn, link));
	ck_assert_uint_eq(counters_get(&counters, COUNTER_HANDED_OVER), 0);
	conn_free(conn);
	close(ends[1]);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *
handover_suite(void)
{
	Suite *suite = suite_create("handover");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, entries_are_read_in_order);
	tcase_add_test(tests, none_is_good_too);
	tcase_add_test(tests, a_file_that_is_cut_is_refused_whole);
	tcase_add_loop_test(tests, anything_else_is_refused_whole, 0,
	    COUNT(wrong));
	tcase_add_loop_test(tests, the_client_is_read, 0, COUNT(clients));
	tcase_add_loop_test(tests, a_state_that_cannot_be_is_refused, 0,
	    COUNT(impossible));
	tcase_add_test(tests, the_time_of_silence_goes_on);
	tcase_add_test(tests, an_ended_client_stays_ended);
	tcase_add_loop_test(tests, what_is_not_kept_stays, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
