#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http/process.h"
#include "unit/suites.h"

START_TEST(tells_of_this_process)
{
	struct process before, after;
	struct rlimit limit;
	int fds[20];

	process_look(&before);
	for (int i = 0; i < 20; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	process_look(&after);
	ck_assert_uint_eq(after.open_files, before.open_files + 20);
	ck_assert_uint_gt(before.cpu_ns, 0);
	ck_assert_uint_gt(after.cpu_ns, before.cpu_ns);
	ck_assert_uint_gt(before.resident_bytes, 100000);
	ck_assert_uint_gt(before.virtual_bytes, before.resident_bytes);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(before.max_files, limit.rlim_cur);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}
END_TEST

Suite *
process_suite(void)
{
	Suite *suite = suite_create("process");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, tells_of_this_process);
	suite_add_tcase(suite, tests);
	return suite;
}
