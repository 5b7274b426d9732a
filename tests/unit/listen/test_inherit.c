#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/scratch.h"
#include "listen/listener.h"
#include "unit/listen/fixture.h"
#include "unit/suites.h"

static struct listener_list list;

static void
start(void)
{
	scratch_enter();
	unsetenv("FDSTORE");
	TAILQ_INIT(&list);
}

static void
finish(void)
{
	listener_free_all(&list);
	scratch_leave();
}

/* What a process before this one left open as name. */
static struct listener *
inherit(struct listener *listener, const char *name)
{
	int fd = dup(listener->fd);

	/* Its path stays. */
	listener->inode = 0;
	listener_free(listener);
	ck_assert_msg(listener_inherit(fd, name, &list, error) == 0, "%s",
	    error);
	return TAILQ_LAST(&list, listener_list);
}

START_TEST(a_stored_one_is_known_by_its_traits)
{
	static const struct {
		const char *address, *name;
		bool dual_stack;
		int number;
		bool any_port;
	} cases[] = {
		{ "127.0.0.1", ".listener-0-1f", false, 0, false },
		{ "127.0.0.1", ".listener-1-1f", false, 0, true },
		{ "*", ".listener-2-1f", true, 0, false },
		/* On a host without IPv6. */
		{ "0.0.0.0", ".listener-3-1f", true, 0, true },
		{ "127.0.0.1", ".listener-9-1f", false, 2, true },
	};
	struct listener *listener = inherit(open_one(PROTOCOL_UDP,
						cases[_i].address, 0),
	    cases[_i].name);

	ck_assert_int_eq(listener->origin, ORIGIN_STORED);
	ck_assert_int_eq(listener->state, LISTENER_READY);
	ck_assert(listener->store_name[0] != '\0');
	ck_assert_int_eq(listener->dual_stack, cases[_i].dual_stack);
	ck_assert_int_eq(listener->number, cases[_i].number);
	ck_assert_int_eq(listener->wanted.any.sa_family,
	    cases[_i].dual_stack ? AF_INET6 : AF_INET);
	ck_assert_uint_ne(sockaddr_port(&listener->bound), 0);
	ck_assert_uint_eq(sockaddr_port(&listener->wanted),
	    cases[_i].any_port ? 0 : sockaddr_port(&listener->bound));
	listener_unstore(listener);
	ck_assert(listener->store_name[0] == '\0');
}
END_TEST

START_TEST(a_passed_one_is_what_it_is)
{
	struct listener *listener = inherit(open_one(PROTOCOL_TCP, "*", 0),
	    "unit");

	ck_assert_int_eq(listener->origin, ORIGIN_PASSED);
	ck_assert(listener->store_name[0] == '\0');
	ck_assert(listener->dual_stack);
	ck_assert_uint_eq(sockaddr_port(&listener->wanted),
	    sockaddr_port(&listener->bound));
	ck_assert_str_eq(listener->config.where, "passed as unit");
}
END_TEST

/* A stored path is ours to remove, a passed one is not. */
START_TEST(a_path_goes_with_its_owner)
{
	static const char *const names[] = { ".listener-0-1f", "unit" };
	struct listener *listener = inherit(open_one(PROTOCOL_UNIX, "sock", 0),
	    names[_i]);

	listener_unstore(listener);
	listener_free_all(&list);
	ck_assert_int_eq(access("sock", F_OK), _i == 0 ? -1 : 0);
}
END_TEST

START_TEST(a_path_that_is_gone_is_given_up)
{
	struct listener *listener = open_one(PROTOCOL_UNIX, "sock", 0);
	int fd = dup(listener->fd);

	listener_free(listener);
	ck_assert_int_eq(listener_inherit(fd, ".listener-0-1f", &list, error),
	    -1);
	ck_assert_str_eq(error,
	    "passed as .listener-0-1f: unix sock: cannot be served: "
	    "No such file or directory");
	ck_assert(TAILQ_EMPTY(&list));
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(what_is_no_listener_is_closed)
{
	const char *start = "pipe: was passed, but is not a socket";
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(listener_inherit(ends[0], "pipe", &list, error), -1);
	ck_assert_mem_eq(error, start, strlen(start));
	ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
	close(ends[1]);
}
END_TEST

START_TEST(without_a_manager_none_is_stored)
{
	struct listener *listener = open_one(PROTOCOL_TCP, "127.0.0.1", 0);

	listener_store(listener);
	ck_assert(listener->store_name[0] == '\0');
	listener_free(listener);
}
END_TEST

Suite *
inherit_suite(void)
{
	Suite *suite = suite_create("inherit");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, start, finish);
	tcase_add_loop_test(tests, a_stored_one_is_known_by_its_traits, 0, 5);
	tcase_add_test(tests, a_passed_one_is_what_it_is);
	tcase_add_loop_test(tests, a_path_goes_with_its_owner, 0, 2);
	tcase_add_test(tests, a_path_that_is_gone_is_given_up);
	tcase_add_test(tests, what_is_no_listener_is_closed);
	tcase_add_test(tests, without_a_manager_none_is_stored);
	suite_add_tcase(suite, tests);
	return suite;
}
