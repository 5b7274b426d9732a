#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/message.h"
#include "unit/suites.h"

/* What is shown of a text. */
static const struct {
	const char *text, *shown;
} examples[] = {
	{ "", "" },
	{ " ~plain \\x41 100%", " ~plain \\x41 100%" },
	{ "a\nb\r\tc\x7f", "a\\x0ab\\x0d\\x09c\\x7f" },
	{ "\x1b]0;title\a\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J" },
	/* Characters of two, three and four bytes, the first and the last. */
	{ "\u00a0 \u00e9 \u07ff", "\u00a0 \u00e9 \u07ff" },
	{ "\u0800 \u20ac \ud7ff \ue000 \uffff",
	    "\u0800 \u20ac \ud7ff \ue000 \uffff" },
	{ "\U00010000 \U0010ffff", "\U00010000 \U0010ffff" },
	/* A control character of Unicode: CSI, which is ESC [ in one. */
	{ "\xc2\x9b"
	  "31m",
	    "\\xc2\\x9b31m" },
	/* Characters that turn the text around or begin a line. */
	{ "\u202e\u2066\u200f\u2028",
	    "\\xe2\\x80\\xae\\xe2\\x81\\xa6\\xe2\\x80\\x8f\\xe2\\x80\\xa8" },
	/* Not UTF-8: cut, alone, too long, a surrogate, too high. */
	{ "\xc3", "\\xc3" },
	{ "\xe2\x82", "\\xe2\\x82" },
	{ "\xf0\x9f\x98z", "\\xf0\\x9f\\x98z" },
	{ "\x80\xbf\xff\xfe", "\\x80\\xbf\\xff\\xfe" },
	{ "\xc1\x9b\xc0\x80", "\\xc1\\x9b\\xc0\\x80" },
	{ "\xe0\x80\x9b", "\\xe0\\x80\\x9b" },
	{ "\xf0\x80\x80\x9b", "\\xf0\\x80\\x80\\x9b" },
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "\xfc\x80\x80\x80", "\\xfc\\x80\\x80\\x80" },
};

static char *
printed(const char *format, const char *text)
{
	char *line;
	size_t len;
	FILE *out = open_memstream(&line, &len);

	message_print(out, format, text);
	fclose(out);
	return line;
}

START_TEST(control_characters_are_escaped)
{
	char out[128], line[128];

	message_escape(out, sizeof(out), examples[_i].text);
	ck_assert_str_eq(out, examples[_i].shown);
	char *text = printed("<%s>\n", examples[_i].text);
	snprintf(line, sizeof(line), "<%s>\n", examples[_i].shown);
	ck_assert_str_eq(text, line);
	free(text);
}
END_TEST

START_TEST(only_the_newline_of_the_format_ends_a_line)
{
	char *text = printed("%s", "a\n");

	ck_assert_str_eq(text, "a\\x0a");
	free(text);
	text = printed("\n%s\n", "b\n");
	ck_assert_str_eq(text, "\\x0ab\\x0a\n");
	free(text);
}
END_TEST

/* An escape or a character is left out as a whole. */
START_TEST(what_does_not_fit_is_cut)
{
	char out[6];

	message_escape(out, sizeof(out), "12345678");
	ck_assert_str_eq(out, "12345");
	message_escape(out, sizeof(out), "12\a");
	ck_assert_str_eq(out, "12");
	message_escape(out, sizeof(out), "1\a");
	ck_assert_str_eq(out, "1\\x07");
	message_escape(out, sizeof(out), "123\u20ac");
	ck_assert_str_eq(out, "123");
	message_escape(out, 1, "1");
	ck_assert_str_eq(out, "");
}
END_TEST

/* A terminal that takes each byte for a character would obey the 9b. */
START_TEST(only_ascii_remains)
{
	char out[64];

	message_escape_ascii(out, sizeof(out), "~a \u00db\u20ac\xff\x1b");
	ck_assert_str_eq(out, "~a \\xc3\\x9b\\xe2\\x82\\xac\\xff\\x1b");
}
END_TEST

START_TEST(a_long_message_is_cut_and_ends)
{
	char *long_text = calloc(1, 100001);

	memset(long_text, 'x', 100000);
	char *text = printed("%s\n", long_text);
	ck_assert_uint_gt(strlen(text), 4096);
	ck_assert_uint_lt(strlen(text), 10000);
	ck_assert_str_eq(strchr(text, '.'), "...\n");
	free(text);
	free(long_text);
}
END_TEST

Suite *
message_suite(void)
{
	Suite *suite = suite_create("message");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, control_characters_are_escaped, 0,
	    sizeof(examples) / sizeof(examples[0]));
	tcase_add_test(tests, only_the_newline_of_the_format_ends_a_line);
	tcase_add_test(tests, what_does_not_fit_is_cut);
	tcase_add_test(tests, only_ascii_remains);
	tcase_add_test(tests, a_long_message_is_cut_and_ends);
	suite_add_tcase(suite, tests);
	return suite;
}
