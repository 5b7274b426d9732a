#include <string.h>

#include "pipe/printer.h"
#include "unit/suites.h"

static const struct {
	int64_t late_ms;
	const char *line;
} marks[] = {
	{ -1, "[now] hello\n" },
	{ 0, "[now] (again) hello\n" },
	{ 99, "[now] (again) hello\n" },
	{ 100, "[now] (+0.1s) hello\n" },
	{ 6299, "[now] (+6.2s) hello\n" },
};

static void
assert_printed(const struct client_options *options, int64_t late_ms,
    const char *line)
{
	struct output output = { .fd = -1 };
	struct printer printer = { .options = options, .output = &output };

	ck_assert_int_eq(printer_add(&printer,
			     (struct framing_text){ "[now] ", 6 },
			     (struct framing_text){ "hello\n", 6 }, late_ms),
	    0);
	ck_assert_uint_eq(output.text_len, strlen(line));
	ck_assert_mem_eq(output.text, line, output.text_len);
	output_free(&output);
}

START_TEST(a_mark_shows_tenths_or_that_the_line_went_again)
{
	struct client_options options = { 0 };

	assert_printed(&options, marks[_i].late_ms, marks[_i].line);
	options.quiet = true;
	assert_printed(&options, marks[_i].late_ms, marks[0].line);
}
END_TEST

Suite *
printer_suite(void)
{
	Suite *suite = suite_create("printer");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests,
	    a_mark_shows_tenths_or_that_the_line_went_again, 0,
	    sizeof(marks) / sizeof(marks[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
