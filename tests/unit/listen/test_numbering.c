#include <stdint.h>

#include "listen/numbering.h"
#include "unit/suites.h"

/* Zero is of connections that no listener has. */
START_TEST(a_number_is_given_again_after_all_others)
{
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	struct listener first = { .profile = 1 }, second = { .profile = 2 };
	uint16_t last = 0;

	ck_assert_uint_eq(numbering_choose(&list, &last), 1);
	ck_assert_uint_eq(numbering_choose(&list, &last), 2);
	last = UINT16_MAX - 1;
	ck_assert_uint_eq(numbering_choose(&list, &last), UINT16_MAX);
	TAILQ_INSERT_TAIL(&list, &first, link);
	TAILQ_INSERT_TAIL(&list, &second, link);
	ck_assert_uint_eq(numbering_choose(&list, &last), 3);
	ck_assert_uint_eq(last, 3);
}
END_TEST

Suite *
numbering_suite(void)
{
	Suite *suite = suite_create("numbering");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, a_number_is_given_again_after_all_others);
	suite_add_tcase(suite, tests);
	return suite;
}
