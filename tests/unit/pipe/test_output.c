#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "pipe/output.h"
#include "unit/suites.h"

static int ends[2];

static void
open_pipe(void)
{
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
}

static void
close_pipe(void)
{
	close(ends[0]);
	close(ends[1]);
}

START_TEST(the_last_byte_waits_for_room)
{
	char text[PIPE_BUF + 1], got[sizeof(text)];
	struct output output;

	memset(text, 'a', PIPE_BUF);
	text[PIPE_BUF] = 'b';
	output_init(&output, ends[1]);
	ck_assert(!output_pending(&output));
	output_borrow(&output, (struct framing_text){ text, sizeof(text) });
	ck_assert_int_eq(output_write(&output), 0);
	ck_assert(output_pending(&output));
	ck_assert_int_eq(output_write(&output), 0);
	ck_assert(output_pending(&output));
	ck_assert_int_eq(read(ends[0], got, sizeof(got)), PIPE_BUF);
	ck_assert_int_eq(output_write(&output), 0);
	ck_assert(!output_pending(&output));
	ck_assert_int_eq(read(ends[0], got + PIPE_BUF, 1), 1);
	ck_assert_mem_eq(got, text, sizeof(text));
	output_free(&output);
}
END_TEST

START_TEST(it_closes_what_it_has_opened)
{
	struct output output;
	int before = dup(STDIN_FILENO);

	close(before);
	output_init(&output, ends[1]);
	output_free(&output);
	int after = dup(STDIN_FILENO);
	close(after);
	ck_assert_int_eq(after, before);
	/* The standard output is the program's, which may still write to it. */
	output = (struct output){ .fd = STDOUT_FILENO };
	output_free(&output);
	ck_assert_int_ne(fcntl(STDOUT_FILENO, F_GETFD), -1);
}
END_TEST

Suite *
output_suite(void)
{
	Suite *suite = suite_create("output");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, open_pipe, close_pipe);
	tcase_add_test(tests, the_last_byte_waits_for_room);
	tcase_add_test(tests, it_closes_what_it_has_opened);
	suite_add_tcase(suite, tests);
	return suite;
}
