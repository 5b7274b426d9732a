#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/sink.h"
#include "unit/suites.h"

#define LINE "a line\n"
#define LARGE (1 << 20) /* more than fits into any of these */

static struct sink sink;
static int ends[2]; /* to read, to write */

static void
make_pipe(void)
{
	ck_assert_int_eq(pipe(ends), 0);
}

static void
make_stream(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void
make_datagrams(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
}

static void
make_terminal(void)
{
	struct termios mode;

	ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_eq(grantpt(ends[0]), 0);
	ck_assert_int_eq(unlockpt(ends[0]), 0);
	ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
	ck_assert_int_eq(tcgetattr(ends[1], &mode), 0);
	mode.c_oflag &= ~(tcflag_t)OPOST;
	ck_assert_int_eq(tcsetattr(ends[1], TCSANOW, &mode), 0);
}

static void
make_stopped_terminal(void)
{
	make_terminal();
	ck_assert_int_eq(tcflow(ends[1], TCOOFF), 0);
}

static const struct {
	void (*make)(void);
	enum sink_kind kind;
	bool is_foreign; /* it can't be opened again */
} kinds[] = {
	{ make_pipe, SINK_OWN, false },
	{ make_pipe, SINK_SHARED, true },
	{ make_stream, SINK_SOCKET, false },
	{ make_datagrams, SINK_SOCKET, false },
	{ make_stopped_terminal, SINK_OWN, false },
	{ make_stopped_terminal, SINK_SHARED, true },
	/* The last one: it may have room later, made by a thread of the kernel. */
	{ make_terminal, SINK_OWN, false },
};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static void
open_kind(int n)
{
	kinds[n].make();
	sink_open(&sink, ends[1]);
	if (kinds[n].is_foreign)
		sink = (struct sink){ .fd = ends[1] };
	ck_assert_int_eq(sink.kind, kinds[n].kind);
}

/* Until the reader would have to read. */
static void
fill(void)
{
	for (int i = 0; i < LARGE; i++)
		if (!sink_write(&sink, LINE, strlen(LINE)))
			return;
	ck_abort_msg("it takes any number of lines");
}

/* What is there to read. */
static char *
read_all(void)
{
	static char text[4 * LARGE];
	size_t len = 0;
	ssize_t n;

	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

START_TEST(takes_lines_until_nobody_reads_and_then_again)
{
	open_kind(_i);
	fill();
	ck_assert_int_eq(errno, EAGAIN);
	if (kinds[_i].make == make_stopped_terminal)
		ck_assert_int_eq(tcflow(ends[1], TCOON), 0);
	do
		read_all();
	while (!sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_int_eq(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(waits_once_and_not_again_before_a_line_is_taken)
{
	open_kind(_i);
	fill();
	uint64_t paid_ms = sink.paid_ms;
	ck_assert_uint_gt(paid_ms, 0);
	for (int i = 0; i < 10; i++)
		ck_assert(!sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_uint_eq(sink.paid_ms, paid_ms);
	sink.is_refused = false;
	ck_assert(!sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_uint_gt(sink.paid_ms, paid_ms);
}
END_TEST

START_TEST(waits_a_part_of_the_time_only)
{
	open_kind(_i);
	sink.paid_ms = UINT64_MAX / 2;
	fill();
	ck_assert_uint_eq(sink.paid_ms, UINT64_MAX / 2);
}
END_TEST

START_TEST(a_line_after_a_torn_one_begins_anew)
{
	static char large[LARGE];

	memset(large, 'x', sizeof(large));
	make_stream();
	sink_open(&sink, ends[1]);
	ck_assert(!sink_write(&sink, large, sizeof(large)));
	const char *text = read_all();
	ck_assert_uint_lt(strlen(text), sizeof(large));
	ck_assert(sink_write(&sink, LINE, strlen(LINE)));
	ck_assert(sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_str_eq(read_all(), "\n" LINE LINE);
}
END_TEST

START_TEST(a_file_is_written_as_it_is)
{
	FILE *file = tmpfile();
	char text[64] = "";

	ck_assert_ptr_nonnull(file);
	sink_open(&sink, fileno(file));
	ck_assert_int_eq(sink.kind, SINK_OWN);
	ck_assert_int_eq(sink.fd, fileno(file));
	ck_assert(sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_int_eq(pread(sink.fd, text, sizeof(text), 0), strlen(LINE));
	ck_assert_str_eq(text, LINE);
	fclose(file);
	ck_assert(!sink_write(&sink, LINE, strlen(LINE)));
	ck_assert_int_eq(errno, EBADF);
}
END_TEST

Suite *
sink_suite(void)
{
	Suite *suite = suite_create("sink");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests,
	    takes_lines_until_nobody_reads_and_then_again, 0, KINDS);
	tcase_add_loop_test(tests,
	    waits_once_and_not_again_before_a_line_is_taken, 0, KINDS - 1);
	tcase_add_loop_test(tests, waits_a_part_of_the_time_only, 0, KINDS);
	tcase_add_test(tests, a_line_after_a_torn_one_begins_anew);
	tcase_add_test(tests, a_file_is_written_as_it_is);
	suite_add_tcase(suite, tests);
	return suite;
}
