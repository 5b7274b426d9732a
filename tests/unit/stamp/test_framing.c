#include <stdlib.h>
#include <string.h>

#include "stamp/framing.h"
#include "unit/suites.h"

#define ROOM 4096

static const char STAMP[FRAMING_SHORT] = "[T] ";

static const struct framing_text stamp_text = { STAMP, 4 };

START_TEST(chunk_puts_the_stamp_in_front)
{
	char buffer[] = "....hello";
	char *reply = framing_chunk(buffer + 4, STAMP, 4);

	ck_assert_str_eq(reply, "[T] hello");
}
END_TEST

START_TEST(line_stamps_each_line)
{
	static const struct {
		const char *in, *out;
		bool line_start;
	} cases[] = {
		{ "hello\n", "[T] hello\n", true },
		{ "hello", "[T] hello", false },
		{ "a\nb\n", "[T] a\n[T] b\n", true },
		{ "a\nb", "[T] a\n[T] b", false },
		{ "\n", "[T] \n", true },
		{ "\n\n", "[T] \n[T] \n", true },
		{ "a\r\nb\r\n", "[T] a\r\n[T] b\r\n", true },
		{ "\r", "[T] \r", false },
		{ "", "", true },
	};
	char out[ROOM];
	bool line_start = true;
	struct framing_run run = framing_lines(&line_start,
	    (struct framing_text){ cases[_i].in, strlen(cases[_i].in) },
	    stamp_text, 100, out);

	ck_assert_uint_eq(run.consumed, strlen(cases[_i].in));
	ck_assert_mem_eq(out, cases[_i].out, strlen(cases[_i].out));
	ck_assert_uint_eq(run.len, strlen(cases[_i].out));
	ck_assert(line_start == cases[_i].line_start);
}
END_TEST

START_TEST(line_goes_on_in_the_middle)
{
	char out[ROOM];
	bool line_start = false;
	struct framing_run run = framing_lines(&line_start,
	    (struct framing_text){ "lo\nx", 4 }, stamp_text, 100, out);

	ck_assert_uint_eq(run.len, 8);
	ck_assert_mem_eq(out, "lo\n[T] x", 8);
	ck_assert_uint_eq(run.stamps, 1);
}
END_TEST

START_TEST(line_passes_nul_bytes)
{
	char out[ROOM];
	bool line_start = true;
	struct framing_run run = framing_lines(&line_start,
	    (struct framing_text){ "\0a\0\n\0", 5 }, stamp_text, 100, out);

	ck_assert_uint_eq(run.len, 13);
	ck_assert_mem_eq(out, "[T] \0a\0\n[T] \0", 13);
}
END_TEST

START_TEST(line_stops_before_a_stamp_too_many)
{
	char out[ROOM];
	bool line_start = true;
	struct framing_run run = framing_lines(&line_start,
	    (struct framing_text){ "a\nb\nc\n", 6 }, stamp_text, 2, out);

	ck_assert_uint_eq(run.consumed, 4);
	ck_assert_uint_eq(run.stamps, 2);
	ck_assert_uint_eq(run.len, 12);
	ck_assert(line_start);
}
END_TEST

/* One byte after the other: slow, and seen to be right. */
static size_t
stamp_slowly(const char *in, size_t len, char *out)
{
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i == 0 || in[i - 1] == '\n') {
			memcpy(out + at, STAMP, 4);
			at += 4;
		}
		out[at++] = in[i];
	}
	return at;
}

START_TEST(random_input_cut_at_random_places)
{
	char in[ROOM], out[5 * ROOM], expected[5 * ROOM];

	srandom((unsigned)_i);
	for (int round = 0; round < 2000; round++) {
		size_t len = (size_t)random() % 600;
		size_t taken = 0, made = 0;
		bool line_start = true;

		for (size_t i = 0; i < len; i++)
			in[i] = "\n\r\0ab"[random() % (1 + _i)];
		size_t wanted = stamp_slowly(in, len, expected);
		while (taken < len) {
			size_t piece = 1 + (size_t)random() % (len - taken);
			struct framing_run run = framing_lines(&line_start,
			    (struct framing_text){ in + taken, piece },
			    stamp_text, 1 + (size_t)random() % 9, out + made);
			ck_assert_uint_gt(run.consumed, 0);
			taken += run.consumed;
			made += run.len;
		}
		ck_assert_uint_eq(made, wanted);
		ck_assert_mem_eq(out, expected, wanted);
	}
}
END_TEST

/* Not a byte beyond what was asked for is touched: sanitizers see it. */
START_TEST(memory_is_as_long_as_it_says)
{
	size_t stamp_len = _i == 0 ? 4 : 100;
	char long_stamp[100];

	memset(long_stamp, '*', sizeof(long_stamp));
	for (size_t line = 0; line < 150; line++) {
		size_t len = 2 * line + 1, out_len = len + 2 * stamp_len;
		char *in = malloc(len), *out = malloc(out_len);
		const char *stamp = _i == 0 ? STAMP : long_stamp;
		bool line_start = true;

		ck_assert(in != NULL && out != NULL);
		memset(in, 'x', len);
		in[line] = '\n';
		struct framing_run run = framing_lines(&line_start,
		    (struct framing_text){ in, len },
		    (struct framing_text){ stamp, stamp_len }, 2, out);
		size_t stamps = line == 0 ? 1 : 2;
		ck_assert_uint_eq(run.stamps, stamps);
		ck_assert_uint_eq(run.len, len + stamps * stamp_len);
		ck_assert_mem_eq(out, stamp, stamp_len);
		ck_assert_mem_eq(out + stamp_len, in, line + 1);
		if (stamps == 2)
			ck_assert_mem_eq(out + stamp_len + line + 1, stamp,
			    stamp_len);
		ck_assert_mem_eq(out + run.len - line, in + line + 1, line);
		free(in);
		free(out);
	}
}
END_TEST

START_TEST(names_are_parsed)
{
	ck_assert_int_eq(framing_parse("chunk"), FRAMING_CHUNK);
	ck_assert_int_eq(framing_parse("line"), FRAMING_LINE);
	ck_assert_int_eq(framing_parse("lines"), -1);
	ck_assert_str_eq(framing_name(FRAMING_LINE), "line");
}
END_TEST

Suite *
framing_suite(void)
{
	Suite *suite = suite_create("framing");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, chunk_puts_the_stamp_in_front);
	tcase_add_loop_test(tests, line_stamps_each_line, 0, 9);
	tcase_add_test(tests, line_goes_on_in_the_middle);
	tcase_add_test(tests, line_passes_nul_bytes);
	tcase_add_test(tests, line_stops_before_a_stamp_too_many);
	tcase_add_loop_test(tests, random_input_cut_at_random_places, 0, 5);
	tcase_add_loop_test(tests, memory_is_as_long_as_it_says, 0, 2);
	tcase_add_test(tests, names_are_parsed);
	suite_add_tcase(suite, tests);
	return suite;
}
