#include <stdlib.h>
#include <string.h>

#include "ping/payload.h"
#include "unit/suites.h"

#define ID 0x00c0ffee
#define STAMP "[1795223700] "

static enum payload_kind
read_text(const char *text, struct payload_reply *reply)
{
	return payload_read(ID, text, strlen(text), reply);
}

START_TEST(has_the_size_that_was_asked_for)
{
	char text[2000];

	for (size_t size = PAYLOAD_MIN; size < sizeof(text) - 1; size++) {
		memset(text, 'X', sizeof(text));
		payload_write(text, size, ID, 99999999999999);
		ck_assert_ptr_eq(memchr(text, '\n', sizeof(text)),
		    text + size - 1);
		ck_assert_int_eq(text[size], 'X');
		ck_assert(memcmp(text, "00c0ffee 99999999999999", 23) == 0);
	}
}
END_TEST

START_TEST(comes_back_with_any_stamp)
{
	static const struct {
		const char *stamp;
		enum payload_kind kind;
		bool has_reading;
	} cases[] = {
		{ STAMP, PAYLOAD_STAMPED, true },
		{ "[Sat Nov 21 01:15:00 2026] ", PAYLOAD_STAMPED, true },
		{ "[01:15] ", PAYLOAD_STAMPED, false },
		{ "[] [] ", PAYLOAD_STAMPED, false },
		{ "[] ", PAYLOAD_STAMPED, false },
		{ "", PAYLOAD_BARE, false },
		{ " ", PAYLOAD_FOREIGN, false },
		{ "] ", PAYLOAD_FOREIGN, false },
		{ "[1795223700]", PAYLOAD_FOREIGN, false },
		{ "echo: ", PAYLOAD_FOREIGN, false },
	};
	struct payload_reply reply;
	char text[200];
	size_t len = strlen(cases[_i].stamp);

	strcpy(text, cases[_i].stamp);
	payload_write(text + len, 64, ID, 17);
	ck_assert_int_eq(payload_read(ID, text, len + 64, &reply),
	    cases[_i].kind);
	ck_assert_uint_eq(reply.number, 17);
	ck_assert_uint_eq(reply.bytes, len + 64);
	ck_assert(reply.has_reading == cases[_i].has_reading);
	if (_i == 0)
		ck_assert_int_eq(reply.reading.at_ns, 1795223700000000000);
}
END_TEST

START_TEST(others_are_foreign)
{
	static const char *const cases[] = { "", "\n", STAMP, "hello\n",
		STAMP "hello\n", STAMP "00c0ffef 17 ..\n", STAMP "00c0ffee\n",
		STAMP "00c0ffee \n", STAMP "00c0ffee 0\n", STAMP "00c0ffee 17",
		STAMP "00c0ffee 17x\n", STAMP "00c0ffee -17\n",
		STAMP "00c0ffee 123456789012345\n" };
	struct payload_reply reply;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_int_eq(read_text(cases[i], &reply), PAYLOAD_FOREIGN);
}
END_TEST

/* A stream of replies, short and long, in pieces of any size. */
START_TEST(a_stream_may_be_cut_anywhere)
{
	static char stream[20000];
	struct payload_line line = { 0 };
	struct payload_reply reply;
	size_t len = 0;
	uint64_t expected = 1;

	srandom((unsigned)_i);
	for (uint64_t number = 1; number <= 20; number++) {
		size_t size = number % 5 == 0 ? 2500
		                              : PAYLOAD_MIN + (size_t)number;

		len += strlen(strcpy(stream + len, STAMP));
		payload_write(stream + len, size, ID, number);
		len += size;
	}
	for (size_t at = 0; at < len;) {
		size_t piece = 1 + (size_t)(random() % (1 << _i));
		struct payload_text text = { stream + at,
			piece < len - at ? piece : len - at };

		at += text.len;
		while (text.len > 0)
			if (payload_take(&line, ID, &text, &reply) !=
			    PAYLOAD_PART) {
				ck_assert_uint_eq(reply.number, expected);
				ck_assert(reply.has_reading);
				expected++;
			}
	}
	ck_assert_uint_eq(expected, 21);
	ck_assert_uint_eq(line.len, 0);
}
END_TEST

/* As a server that stamps each piece does it. */
START_TEST(lines_that_share_a_stamp)
{
	struct payload_line line = { 0 };
	struct payload_text text = { STAMP "00c0ffee 1 .\n00c0ffee 2 .\n"
					   "junk\n00c0ffee 3",
		0 };
	struct payload_reply reply;

	text.len = strlen(text.bytes);
	ck_assert_int_eq(payload_take(&line, ID, &text, &reply),
	    PAYLOAD_STAMPED);
	ck_assert_uint_eq(reply.number, 1);
	ck_assert_int_eq(payload_take(&line, ID, &text, &reply), PAYLOAD_BARE);
	ck_assert_uint_eq(reply.number, 2);
	ck_assert(!reply.has_reading);
	ck_assert_int_eq(payload_take(&line, ID, &text, &reply),
	    PAYLOAD_FOREIGN);
	ck_assert_int_eq(payload_take(&line, ID, &text, &reply), PAYLOAD_PART);
	ck_assert_uint_eq(text.len, 0);
}
END_TEST

Suite *
payload_suite(void)
{
	Suite *suite = suite_create("payload");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, has_the_size_that_was_asked_for);
	tcase_add_loop_test(tests, comes_back_with_any_stamp, 0, 10);
	tcase_add_test(tests, others_are_foreign);
	tcase_add_loop_test(tests, a_stream_may_be_cut_anywhere, 0, 13);
	tcase_add_test(tests, lines_that_share_a_stamp);
	suite_add_tcase(suite, tests);
	return suite;
}
