#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datagram/users.h"
#include "unit/suites.h"

/* Its exit status. */
enum { NAMESPACE, NO_NAMESPACE, KNOWS_OTHERS };

/* In a user namespace in which this user is 100, and there is no other. */
static int
look_around(const char *map)
{
	static struct users users;

	if (unshare(CLONE_NEWUSER) == -1)
		return NO_NAMESPACE;
	int fd = open("/proc/self/uid_map", O_WRONLY);
	ssize_t len = (ssize_t)strlen(map);
	if (fd == -1 || write(fd, map, strlen(map)) != len)
		return NO_NAMESPACE;
	close(fd);
	return users_read(&users) == 0 && users_is_known(&users, 100) &&
	               !users_is_known(&users, 99) &&
	               !users_is_known(&users, 101) && users_are_few(&users)
	         ? NAMESPACE
	         : KNOWS_OTHERS;
}

START_TEST(a_namespace_has_its_own_users)
{
	char map[32];
	int status;

	snprintf(map, sizeof(map), "100 %u 1\n", geteuid());
	pid_t child = fork();
	if (child == 0)
		_exit(look_around(map));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_NAMESPACE)
		puts("skipped: a_namespace_has_its_own_users: no privilege");
	else
		ck_assert_int_eq(WEXITSTATUS(status), NAMESPACE);
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
