#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/suites.h"

/* What the lines that write() makes look like, standard error caught. */
static char *
caught(void (*write_lines)(void))
{
	static char text[8192];
	int ends[2], standard_error = dup(STDERR_FILENO);

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	write_lines();
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	size_t len = 0;
	ssize_t n;
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	return text;
}

static void
write_all_levels(void)
{
	log_set_level(LOG_INFO);
	log_error("e %d", 1);
	log_debug("d");
	log_info("i");
	log_set_level(LOG_ERR);
	log_warning("w");
	log_info("i2");
	log_notice("n");
}

START_TEST(levels_filter)
{
	regex_t pattern;
	const char *text = caught(write_all_levels);

#define DATE "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\\.[0-9]{3} "
	ck_assert_int_eq(regcomp(&pattern,
			     "^" DATE "error: e 1\n" DATE "info: i\n" DATE
			     "info: n\n$",
			     REG_EXTENDED | REG_NOSUB),
	    0);
	ck_assert_msg(regexec(&pattern, text, 0, NULL, 0) == 0, "%s", text);
	regfree(&pattern);
}
END_TEST

static void
write_long_line(void)
{
	char message[5000];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	log_error("%s", message);
}

START_TEST(a_long_line_is_cut_and_ends)
{
	const char *text = caught(write_long_line);

	ck_assert_uint_lt(strlen(text), 4096);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

static void
write_control_characters(void)
{
	log_error("%s", "a\nerror: \x1b[2J\xff");
}

START_TEST(control_characters_are_escaped)
{
	const char *text = caught(write_control_characters);

	ck_assert_str_eq(strstr(text, "error: "),
	    "error: a\\x0aerror: \\x1b[2J\\xff\n");
}
END_TEST

START_TEST(levels_are_parsed)
{
	ck_assert_int_eq(log_level_parse("error"), LOG_ERR);
	ck_assert_int_eq(log_level_parse("warning"), LOG_WARNING);
	ck_assert_int_eq(log_level_parse("info"), LOG_INFO);
	ck_assert_int_eq(log_level_parse("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_parse("INFO"), -1);
}
END_TEST

Suite *
log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, levels_filter);
	tcase_add_test(tests, a_long_line_is_cut_and_ends);
	tcase_add_test(tests, control_characters_are_escaped);
	tcase_add_test(tests, levels_are_parsed);
	suite_add_tcase(suite, tests);
	return suite;
}
