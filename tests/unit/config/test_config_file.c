#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config_file.h"
#include "harness/scratch.h"
#include "unit/suites.h"

static char *complaints;

static char *
read_main(void)
{
	size_t len;
	FILE *errors = open_memstream(&complaints, &len);
	char *text = config_file_read("main", errors);

	fclose(errors);
	return text;
}

static void
assert_read(const char *expected)
{
	scratch_write("main", expected);
	char *text = read_main();
	ck_assert_msg(text != NULL, "%s", complaints);
	ck_assert_str_eq(text, expected);
	ck_assert_str_eq(complaints, "");
	free(text);
	free(complaints);
}

static void
assert_refused(const char *complaint)
{
	ck_assert_ptr_null(read_main());
	ck_assert_str_eq(complaints, complaint);
	free(complaints);
}

START_TEST(a_text_is_read_as_it_is)
{
	assert_read("a = 1;\r\n\n# b");
	assert_read("");
	assert_read("\"\\");
	assert_read("s = \"\\\" @include 99999999999\";");
	assert_read("/*");
}
END_TEST

#define NO_INCLUDE                                                             \
	"@include is not supported: put the settings into this file\n"

START_TEST(an_include_is_refused)
{
	scratch_write("main",
	    "@include \"/\"\n/* x\n*/ \t@include \"y\"# all\n@include\n");
	assert_refused(
	    "main:1: " NO_INCLUDE "main:3: " NO_INCLUDE "main:4: " NO_INCLUDE);
	assert_read("/*\n@include \"x\"\n*/\ns = \"\n@include \\\"x\n\"\n"
		    "# @include \"x\"\n// @include \"x\"\n");
}
END_TEST

START_TEST(what_cannot_be_read_is_refused)
{
	assert_refused("cannot read main: No such file or directory\n");
	ck_assert_int_eq(mkdir("main", 0755), 0);
	assert_refused("cannot read main: not a regular file\n");
	ck_assert_int_eq(remove("main"), 0);
	/* No one writes to it: whoever opens it would wait for ever. */
	ck_assert_int_eq(mkfifo("main", 0644), 0);
	assert_refused("cannot read main: not a regular file\n");
}
END_TEST

/* A file of size bytes, of which nothing is on disk. */
static void
make_sparse(off_t size)
{
	scratch_write("main", "");
	ck_assert_int_eq(truncate("main", size), 0);
}

START_TEST(a_large_file_is_refused)
{
	char *largest = calloc(1, (1 << 20) + 1);

	memset(largest, '#', 1 << 20);
	assert_read(largest);
	free(largest);
	make_sparse((1 << 20) + 1);
	assert_refused("cannot read main: it has 1048577 bytes, and at most "
		       "1048576 are allowed\n");
	/* Reading it would take long. */
	make_sparse(1LL << 40);
	assert_refused("cannot read main: it has 1099511627776 bytes, and at "
		       "most 1048576 are allowed\n");
}
END_TEST

/* The kernel makes the text when it is read: before that it has no size. */
START_TEST(a_file_that_grows_is_refused)
{
	ck_assert_int_eq(symlink("/proc/self/status", "main"), 0);
	assert_refused("cannot read main: its size changes while it is read\n");
}
END_TEST

START_TEST(control_characters_of_a_path_are_escaped)
{
	size_t len;
	FILE *errors = open_memstream(&complaints, &len);

	ck_assert_ptr_null(config_file_read("\x1b[2J\n\xff", errors));
	scratch_write("\a", "@include\n\n99999999999");
	ck_assert_ptr_null(config_file_read("\a", errors));
	fclose(errors);
	ck_assert_str_eq(complaints,
	    "cannot read \\x1b[2J\\x0a\\xff: No such file or directory\n"
	    "\\x07:1: " NO_INCLUDE
	    "\\x07:3: the number 99999999999 is out of range\n");
	free(complaints);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
	scratch_write("main", "");
	FILE *file = fopen("main", "w");
	fwrite("a\n\0b\n", 1, 5, file);
	fclose(file);
	assert_refused("main:2: a NUL byte: this is not a text file\n");
}
END_TEST

START_TEST(numbers_that_would_wrap_are_refused)
{
	assert_read("a = 2147483647; b = -2147483647; c = 0x7fffffff;\n"
		    "d = 1.5e300; e = .99999999999; f = 0.99999999999;\n"
		    "g = 99999999999L; h = 9223372036854775807LL;\n"
		    "x99999999999 = \"99999999999\"; // 99999999999\n");
	scratch_write("main",
	    "\nf = 4294967297; g = 0xffffffff;\n"
	    "h = -99999999999999999999999999999999;\n"
	    "i = 9223372036854775808L; j = 0x10000000000000001L;\n");
	assert_refused(
	    "main:2: the number 4294967297 is out of range\n"
	    "main:2: the number 0xffffffff is out of range\n"
	    "main:3: the number 99999999999999999999999999999999 is out of "
	    "range\n"
	    "main:4: the number 9223372036854775808 is out of range\n"
	    "main:4: the number 0x10000000000000001 is out of range\n");
}
END_TEST

Suite *
config_file_suite(void)
{
	Suite *suite = suite_create("config_file");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_text_is_read_as_it_is);
	tcase_add_test(tests, an_include_is_refused);
	tcase_add_test(tests, what_cannot_be_read_is_refused);
	tcase_add_test(tests, a_large_file_is_refused);
	tcase_add_test(tests, a_file_that_grows_is_refused);
	tcase_add_test(tests, control_characters_of_a_path_are_escaped);
	tcase_add_test(tests, a_nul_byte_is_refused);
	tcase_add_test(tests, numbers_that_would_wrap_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
