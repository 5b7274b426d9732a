#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/scratch.h"
#include "pipe/window.h"
#include "unit/suites.h"

#define SIZE 65536

/* Puts len bytes of c into the window and counts them. */
static void
fill(struct window *window, char c, size_t len)
{
	ck_assert_uint_le(len, window_room(window, true));
	memset(window_at(window, window->end), c, len);
	window_add(window, len);
}

START_TEST(goes_round)
{
	struct window window;

	ck_assert_int_eq(window_open(&window, 1, NULL), 0);
	ck_assert_uint_eq(window.size, SIZE);
	for (int n = 0; n < 10; n++) {
		fill(&window, (char)('a' + n), 50000);
		const char *bytes = window_at(&window, window.begin);
		ck_assert_int_eq(bytes[0], 'a' + n);
		ck_assert_int_eq(bytes[49999], 'a' + n);
		ck_assert_uint_eq(window_room(&window, true), SIZE - 50000);
		window_release(&window, window.end);
	}
	window_close(&window);
}
END_TEST

START_TEST(grows_with_what_it_holds)
{
	struct window window;

	ck_assert_int_eq(window_open(&window, SIZE, NULL), 0);
	fill(&window, 'x', 40000);
	window_release(&window, window.end);
	fill(&window, 'a', SIZE);
	ck_assert_int_eq(window_grow(&window), 0);
	fill(&window, 'b', SIZE);
	ck_assert_uint_eq(window_room(&window, true), 0);
	const char *bytes = window_at(&window, window.begin);
	ck_assert_int_eq(bytes[0], 'a');
	ck_assert_int_eq(bytes[SIZE - 1], 'a');
	ck_assert_int_eq(bytes[SIZE], 'b');
	ck_assert_int_eq(bytes[2 * SIZE - 1], 'b');
	window_close(&window);
}
END_TEST

/* The lowest number that a new descriptor would get. */
static int
next_fd(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd;
}

START_TEST(a_closed_window_keeps_no_descriptor)
{
	int before = next_fd();
	struct window window;

	ck_assert_int_eq(window_open(&window, SIZE, NULL), 0);
	fill(&window, 'a', SIZE);
	ck_assert_int_eq(window_grow(&window), 0);
	window_close(&window);
	ck_assert_int_eq(next_fd(), before);
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	window_close(&window);
	ck_assert_int_eq(next_fd(), before);
}
END_TEST

START_TEST(shrinks_when_a_long_line_has_gone)
{
	for (int has_file = 0; has_file < 2; has_file++) {
		struct window window;

		scratch_enter();
		ck_assert_int_eq(window_open(&window, SIZE,
				     has_file ? "spool" : NULL),
		    0);
		fill(&window, 'a', SIZE);
		ck_assert_uint_eq(window_room(&window, true), 0);
		ck_assert_int_eq(window_grow(&window), 0);
		ck_assert_uint_eq(window_room(&window, true), SIZE);
		ck_assert_uint_eq(window_room(&window, false), 0);
		fill(&window, 'b', SIZE / 2);
		window_release(&window, 10);
		ck_assert_uint_eq(window.size, 2 * SIZE);
		window_release(&window, SIZE);
		ck_assert_uint_eq(window.size, SIZE);
		ck_assert_uint_eq(window_room(&window, false), SIZE / 2);
		const char *bytes = window_at(&window, window.begin);
		ck_assert_int_eq(bytes[0], 'b');
		ck_assert_int_eq(bytes[SIZE / 2 - 1], 'b');
		window_release(&window, window.end);
		window_close(&window);
		scratch_leave();
	}
}
END_TEST

/* As a kill does: the file stays as it is. */
static void
kill_process(struct window *window)
{
	munmap(window->bytes, 2 * window->size);
	munmap(window->head, SIZE);
	close(window->fd);
}

START_TEST(a_killed_process_leaves_its_lines)
{
	struct window window;

	scratch_enter();
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	fill(&window, 'a', 60000);
	window_release(&window, 59990);
	fill(&window, 'b', 10000);
	/* Read and not counted. */
	memcpy(window_at(&window, window.end), "c\nd\n", 4);
	kill_process(&window);

	ck_assert_int_eq(window_open(&window, 4 * SIZE, "spool"), 0);
	ck_assert_uint_eq(window.size, 4 * SIZE);
	ck_assert_uint_eq(window.begin, 59990);
	ck_assert_uint_eq(window.end, 70004);
	const char *bytes = window_at(&window, window.begin);
	ck_assert_int_eq(memcmp(bytes, "aaaaaaaaaabb", 12), 0);
	ck_assert_int_eq(memcmp(bytes + 10008, "bbc\nd\n", 6), 0);
	window_release(&window, window.end);
	window_close(&window);
	ck_assert_int_eq(access("spool", F_OK), -1);
	scratch_leave();
}
END_TEST

START_TEST(a_killed_process_leaves_its_times)
{
	static struct account_times times = { .count = 2,
		.spacing_ms = 10,
		.reads = { { 0, 1000 }, { 5, 61000 } } };
	static struct account_times found;
	struct window window;

	scratch_enter();
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	window_load_times(&window, &found);
	ck_assert_uint_eq(found.count, 0);
	fill(&window, 'a', 10);
	window_save_times(&window, &times);
	ck_assert_int_eq(window_grow(&window), 0);
	kill_process(&window);
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	window_load_times(&window, &found);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_uint_eq(found.reads[1].from, 5);
	ck_assert_uint_eq(found.reads[1].ms - found.reads[0].ms, 60000);
	/* The clocks may be a bit apart. */
	ck_assert_uint_lt(found.reads[0].ms, 1100);
	ck_assert_uint_gt(found.reads[0].ms, 900);
	window_close(&window);
	scratch_leave();
}
END_TEST

START_TEST(a_part_of_a_line_is_continued_by_its_pipe_only)
{
	struct window window;
	int one[2], other[2];

	scratch_enter();
	ck_assert_int_eq(pipe(one), 0);
	ck_assert_int_eq(pipe(other), 0);
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	ck_assert_int_eq(window_set_input(&window, one[0]), 0);
	fill(&window, 'a', 10);
	kill_process(&window);
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	ck_assert_int_eq(window_set_input(&window, one[0]), 0);
	ck_assert_uint_eq(window.end, 10);
	kill_process(&window);
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	ck_assert_int_eq(window_set_input(&window, other[0]), 0);
	ck_assert_uint_eq(window.end, 11);
	ck_assert_int_eq(window_at(&window, 10)[0], '\n');
	window_close(&window);
	scratch_leave();
}
END_TEST

START_TEST(a_larger_spool_is_a_new_file)
{
	struct window window;
	struct rlimit limit, lower;

	scratch_enter();
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	ck_assert_int_eq(window_grow(&window), 0);
	struct stat status;
	ck_assert_int_eq(stat("spool", &status), 0);
	ck_assert_int_eq(status.st_size, 65536 + 2L * SIZE);
	/* No room for a larger one: nothing is left of it. */
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	lower = limit;
	lower.rlim_cur = 4L * SIZE;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &lower), 0);
	ck_assert_int_eq(window_grow(&window), -1);
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_DFL);
	glob_t found;
	ck_assert_int_eq(glob("spool.*", 0, NULL, &found), GLOB_NOMATCH);
	ck_assert_uint_eq(window.size, 2 * SIZE);
	window_close(&window);
	scratch_leave();
}
END_TEST

START_TEST(other_files_are_refused)
{
	struct window window, second;

	scratch_enter();
	ck_assert_int_eq(window_open(&window, SIZE, "spool"), 0);
	ck_assert_int_eq(window_open(&second, SIZE, "spool"), -1);
	ck_assert_int_eq(errno, EWOULDBLOCK);
	/* Counts that cannot be. */
	int fd = open("spool", O_RDWR);
	uint64_t end = 1UL << 40;
	ck_assert_int_eq(pwrite(fd, &end, sizeof(end), 32), sizeof(end));
	kill_process(&window);
	ck_assert_int_eq(window_open(&second, SIZE, "spool"), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(ftruncate(fd, 100), 0);
	ck_assert_int_eq(window_open(&second, SIZE, "spool"), -1);
	ck_assert_int_eq(errno, EINVAL);
	close(fd);
	scratch_leave();
}
END_TEST

Suite *
window_suite(void)
{
	Suite *suite = suite_create("window");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, goes_round);
	tcase_add_test(tests, grows_with_what_it_holds);
	tcase_add_test(tests, a_closed_window_keeps_no_descriptor);
	tcase_add_test(tests, shrinks_when_a_long_line_has_gone);
	tcase_add_test(tests, a_killed_process_leaves_its_lines);
	tcase_add_test(tests, a_killed_process_leaves_its_times);
	tcase_add_test(tests, a_part_of_a_line_is_continued_by_its_pipe_only);
	tcase_add_test(tests, a_larger_spool_is_a_new_file);
	tcase_add_test(tests, other_files_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
