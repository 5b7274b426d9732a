#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_file.h"
#include "harness/scratch.h"
#include "unit/suites.h"

static char *complaints;

static struct config_file *
read_main(void)
{
	size_t len;
	FILE *errors = open_memstream(&complaints, &len);
	struct config_file *source = config_file_read("main", errors);

	fclose(errors);
	return source;
}

static void
assert_refused(const char *complaint)
{
	struct config_file *source = read_main();

	ck_assert_ptr_null(source);
	ck_assert_str_eq(complaints, complaint);
	free(complaints);
}

START_TEST(includes_stand_in_place)
{
	scratch_write("main",
	    "a\n@include \"folder/one\"\nb\n  @include\t\"two\"  \r\nc");
	ck_assert_int_eq(mkdir("folder", 0755), 0);
	scratch_write("folder/one", "1\n2\n");
	scratch_write("two", "3");

	struct config_file *source = read_main();
	ck_assert_msg(source != NULL, "%s", complaints);
	ck_assert_str_eq(config_file_text(source), "a\n1\n2\nb\n3\nc\n");
	ck_assert_str_eq(config_file_file(source, 1), "main");
	ck_assert_uint_eq(config_file_line(source, 1), 1);
	ck_assert_str_eq(config_file_file(source, 3), "folder/one");
	ck_assert_uint_eq(config_file_line(source, 3), 2);
	ck_assert_str_eq(config_file_file(source, 4), "main");
	ck_assert_uint_eq(config_file_line(source, 4), 3);
	ck_assert_str_eq(config_file_file(source, 5), "two");
	ck_assert_uint_eq(config_file_line(source, 6), 5);
	ck_assert_uint_eq(config_file_line(source, 99), 5);
	config_file_free(source);
	free(complaints);
}
END_TEST

START_TEST(absolute_includes_work)
{
	char line[300], folder[200];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(line, sizeof(line), "@include \"%s/two\"\n", folder);
	scratch_write("main", line);
	scratch_write("two", "3\n");

	struct config_file *source = read_main();
	ck_assert_msg(source != NULL, "%s", complaints);
	ck_assert_str_eq(config_file_text(source), "3\n");
	config_file_free(source);
	free(complaints);
}
END_TEST

START_TEST(no_include_in_comment_or_string)
{
	const char *text =
	    "/*\n@include \"x\"\n*/\ns = \"\n@include \\\"x\n\"\n"
	    "# @include \"x\"\n";

	scratch_write("main", text);
	struct config_file *source = read_main();
	ck_assert_msg(source != NULL, "%s", complaints);
	ck_assert_str_eq(config_file_text(source), text);
	config_file_free(source);
	free(complaints);
}
END_TEST

START_TEST(empty_file)
{
	scratch_write("main", "");
	struct config_file *source = read_main();
	ck_assert_ptr_nonnull(source);
	ck_assert_str_eq(config_file_text(source), "");
	ck_assert_str_eq(config_file_file(source, 1), "main");
	config_file_free(source);
	free(complaints);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
	assert_refused("cannot read main: No such file or directory\n");
	scratch_write("main", "\n@include \"nowhere\"\n@include \".\"\n");
	assert_refused(
	    "main:2: cannot read nowhere: No such file or directory\n"
	    "main:3: cannot read .: not a regular file\n");
	scratch_write("main", "@include \"main\"\n");
	assert_refused("main:1: too many files include one another\n");
	FILE *file = fopen("main", "w");
	fwrite("a\n\0b\n", 1, 5, file);
	fclose(file);
	assert_refused("main:2: a NUL byte: this is no text file\n");
}
END_TEST

START_TEST(numbers_that_would_wrap_are_refused)
{
	scratch_write("main",
	    "a = 2147483647; b = -2147483647; c = 0x7fffffff; d = 1.5e300;\n"
	    "e = 99999999999L; x99999999999 = \"99999999999\"; // 99999999999\n"
	    "f = 4294967297; g = 0xffffffff;\n"
	    "h = -99999999999999999999999999999999;\n");
	assert_refused("main:3: the number 4294967297 is out of range\n"
		       "main:3: the number 0xffffffff is out of range\n"
		       "main:4: the number 99999999999999999999999999999999 is "
		       "out of range\n");
}
END_TEST

/* libconfig would read it itself, and end the process for a folder. */
START_TEST(an_include_with_more_on_its_line_is_refused)
{
	scratch_write("main", "@include \"/\" # all\n@include\n");
	assert_refused("main:1: wants @include \"FILE\" alone on the line\n"
		       "main:2: wants @include \"FILE\" alone on the line\n");
}
END_TEST

Suite *
config_file_suite(void)
{
	Suite *suite = suite_create("config_file");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, includes_stand_in_place);
	tcase_add_test(tests, absolute_includes_work);
	tcase_add_test(tests, no_include_in_comment_or_string);
	tcase_add_test(tests, an_include_with_more_on_its_line_is_refused);
	tcase_add_test(tests, empty_file);
	tcase_add_test(tests, what_cannot_be_read_is_refused);
	tcase_add_test(tests, numbers_that_would_wrap_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
