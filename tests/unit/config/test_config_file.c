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
read_path(const char *path)
{
	size_t len;
	struct faults faults = { .path = path };
	FILE *errors = open_memstream(&complaints, &len);
	char *text = config_file_read(&faults);

	faults_print(&faults, errors, false);
	faults_free(&faults);
	fclose(errors);
	return text;
}

static char *
read_main(void)
{
	return read_path("main");
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
	ck_assert_ptr_null(read_path("\x1b[2J\n\xff"));
	ck_assert_str_eq(complaints,
	    "cannot read \\x1b[2J\\x0a\\xff: No such file or directory\n");
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

START_TEST(another_encoding_is_refused)
{
	scratch_write("main", "");
	FILE *file = fopen("main", "w");
	fwrite("\xff\xfew\0=\0001\0", 1, 8, file);
	fclose(file);
	assert_refused("cannot read main: this is UTF-16: save it as UTF-8\n");
}
END_TEST

Suite *
config_file_suite(void)
{
	Suite *suite = suite_create("config_file");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_text_is_read_as_it_is);
	tcase_add_test(tests, what_cannot_be_read_is_refused);
	tcase_add_test(tests, a_large_file_is_refused);
	tcase_add_test(tests, a_file_that_grows_is_refused);
	tcase_add_test(tests, control_characters_of_a_path_are_escaped);
	tcase_add_test(tests, a_nul_byte_is_refused);
	tcase_add_test(tests, another_encoding_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
