#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/manager.h"
#include "harness/scratch.h"
#include "server/handover.h"
#include "unit/suites.h"

#define HEAD "timestampd connections 1\n"
#define IDLE "7 tcp chunk 1 0 0 0 0 0\n"
#define BUSY "5 unix line 0 1795223700 999999999 3 4 2\nout\nin"

START_TEST(records_are_found_by_their_cookie)
{
	static const char text[] = HEAD IDLE BUSY "end 2\n";
	size_t count;
	struct handover_record *records = handover_parse(text, strlen(text),
	    &count);

	ck_assert_ptr_nonnull(records);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(records[0].cookie, 5);
	ck_assert_uint_eq(records[1].cookie, 7);
	const struct conn_state *state = &records[0].state;
	ck_assert_int_eq(state->protocol, PROTOCOL_UNIX);
	ck_assert_int_eq(state->framing, FRAMING_LINE);
	ck_assert(!state->line_start);
	ck_assert_int_eq(state->arrived.tv_sec, 1795223700);
	ck_assert_uint_eq(state->messages, 3);
	ck_assert_uint_eq(state->out_len, 4);
	ck_assert_uint_eq(state->in_len, 2);
	ck_assert_mem_eq(state->bytes, "out\nin", 6);
	ck_assert(records[1].state.line_start);
	free(records);
}
END_TEST

START_TEST(none_is_good_too)
{
	static const char text[] = HEAD "end 0\n";
	size_t count;
	struct handover_record *records = handover_parse(text, strlen(text),
	    &count);

	ck_assert_ptr_nonnull(records);
	ck_assert_uint_eq(count, 0);
	free(records);
}
END_TEST

static const char *const wrong[] = {
	"",
	"timestampd connections 2\nend 0\n",
	HEAD,
	HEAD "end 1\n",
	HEAD "end 0",
	HEAD "end 0\nmore",
	HEAD IDLE,
	HEAD IDLE "end 0\n",
	HEAD "7 tcp chunk 1 0 0 0 0\nend 1\n",
	HEAD "7 tcp chunk 1 0 0 0 0 0 0\nend 1\n",
	HEAD "7 tcpx chunk 1 0 0 0 0 0\nend 1\n",
	HEAD "7 tcp chunks 1 0 0 0 0 0\nend 1\n",
	HEAD "x tcp chunk 1 0 0 0 0 0\nend 1\n",
	HEAD "7 tcp line 1 0 1000000000 0 0 0\nend 1\n",
	HEAD "7 tcp line 1 0 -1 0 0 0\nend 1\n",
	HEAD "7 tcp line 1 -1 0 0 0 0\nend 1\n",
	HEAD "7 tcp line 1 253402300800 0 0 0 0\nend 1\n",
	HEAD "7 tcp chunk 1 0 0 0 9 0\nend 1\n",
	HEAD "7 tcp line 1 0 0 0 1 18446744073709551615\nxend 1\n",
	HEAD "18446744073709551616 tcp line 1 0 0 0 0 0\nend 1\n",
	HEAD "07 tcp line 1 0 0 0 0 0\nend 1\n",
	HEAD "7 tcp line 2 0 0 0 0 0\nend 1\n",
	HEAD "7  tcp line 1 0 0 0 0 0\nend 1\n",
	HEAD "7 tcp line 1 0 0 0 0 0 \nend 1\n",
	HEAD "7 tcp line 1 0 0 0 0 -1\nend 1\n",
};

START_TEST(anything_else_is_refused_whole)
{
	size_t count;

	errno = 0;
	ck_assert_ptr_null(
	    handover_parse(wrong[_i], strlen(wrong[_i]), &count));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_uint_eq(count, 0);
}
END_TEST

static const struct conn_state impossible[] = {
	{ PROTOCOL_TCP, FRAMING_CHUNK, true, { 0, 0 }, 0, 70000, 0, "" },
	{ PROTOCOL_TCP, FRAMING_LINE, true, { 0, 0 }, 0, 0, 50000, "" },
	{ PROTOCOL_TCP, FRAMING_LINE, true, { 0, 0 }, 0, 40000, 30000, "" },
	{ PROTOCOL_TCP, FRAMING_CHUNK, true, { 0, 0 }, 0, 1, 1, "" },
};

START_TEST(a_state_that_cannot_be_is_refused)
{
	ck_assert_ptr_null(conn_restore(-1, &impossible[_i], 0));
	ck_assert_int_eq(errno, EINVAL);
}
END_TEST

/* Without a manager, and with one that says it has a store, but has none. */
START_TEST(what_no_one_keeps_stays)
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
	tcase_add_test(tests, records_are_found_by_their_cookie);
	tcase_add_test(tests, none_is_good_too);
	tcase_add_loop_test(tests, anything_else_is_refused_whole, 0,
	    COUNT(wrong));
	tcase_add_loop_test(tests, a_state_that_cannot_be_is_refused, 0,
	    COUNT(impossible));
	tcase_add_loop_test(tests, what_no_one_keeps_stays, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
