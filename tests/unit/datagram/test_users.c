#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "datagram/users.h"
#include "unit/suites.h"

/* In a user namespace in which this user is 100, and there is no other. */
START_TEST(a_namespace_has_its_own_users)
{
	static struct users users;
	char map[32];
	int len = snprintf(map, sizeof(map), "100 %u 1\n", geteuid());

	int rc = unshare(CLONE_NEWUSER);
	int fd = open("/proc/self/uid_map", O_WRONLY);
	if (rc == -1 || write(fd, map, (size_t)len) != len) {
		puts("skipped: a_namespace_has_its_own_users: no privilege");
		return;
	}
	close(fd);
	ck_assert_int_eq(users_read(&users), 0);
	ck_assert(users_is_known(&users, 100));
	ck_assert(!users_is_known(&users, 99));
	ck_assert(!users_is_known(&users, 101));
	ck_assert(users_are_few(&users));
}
END_TEST

Suite *
users_suite(void)
{
	Suite *suite = suite_create("users");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_namespace_has_its_own_users);
	suite_add_tcase(suite, tests);
	return suite;
}
