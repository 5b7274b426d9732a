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
	char *text = config_file_read(&faults) ? strdup(faults.text) : NULL;

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

/* Of each some bytes, and where a NUL byte is; nowhere: it is UTF-16. */
static const struct {
	const char *bytes;
	size_t size;
	const char *nul;
} not_text[] = {
	{ "a\n\xc3\xa4\0b\n", 7, "2:2" },
	{ "\0", 1, "1:1" },
	{ "a\0", 2, "1:2" },
	{ "a\0b = 1;", 8, "1:2" },
	{ "w\0=\0001\0", 6, "1:2" },
	{ "w\0=\0001\0\0\0", 8, "1:2" },
	{ "\xef\xbb\xbfw\0", 5, "1:2" },
	{ "\xff\xfew\0=\0001\0", 8, NULL },
	{ "\xfe\xff\0w\0=\0001", 8, NULL },
	{ "\xff\xfe\x11\x12", 4, NULL }, /* and has no NUL byte */
	{ "w\0 \0=\0001\0;\0", 10, NULL },
	{ "\0w\0 \0=\0001\0;", 10, NULL },
};

START_TEST(what_is_not_text_is_refused)
{
	char expected[128] = "cannot read main: this is UTF-16: save it as "
			     "UTF-8\n";

	scratch_write("main", "");
	FILE *file = fopen("main", "w");
	fwrite(not_text[_i].bytes, 1, not_text[_i].size, file);
	fclose(file);
	if (not_text[_i].nul != NULL)
		snprintf(expected, sizeof(expected),
		    "main:%s: a NUL byte: this is not a text file\n",
		    not_text[_i].nul);
	assert_refused(expected);
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
	tcase_add_loop_test(tests, what_is_not_text_is_refused, 0,
	    sizeof(not_text) / sizeof(not_text[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
