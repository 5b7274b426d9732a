#include <stdlib.h>

#include "syntax/nearest.h"
#include "unit/suites.h"

static const char *const words[] = { "log_level", "log_connections", "workers",
	"user", "control", "limits", "stamp", "udp", "http", "allow", "deny",
	"rate_limit", "rate_burst", "tcp", "unix" };

static const struct {
	const char *wrong, *best;
} cases[] = {
	{ "workers", "workers" },
	{ "WORKERS", "workers" },
	{ "wrokers", "workers" }, /* swapped */
	{ "WROKERS", "workers" },
	{ "workrs", "workers" },
	{ "wurkars", "workers" },
	{ "wurkarz", NULL }, /* three of seven are too many */
	{ "up", "udp" },
	{ "workerss", "workers" },
	{ "wurkers", "workers" },
	{ "loglevel", "log_level" },
	{ "usr", "user" },
	{ "tpc", "tcp" },
	{ "dup", "udp" },
	{ "rate", "rate_limit" }, /* a part of it */
	{ "burst", "rate_burst" },
	{ "lim", "limits" },
	{ "ra", NULL }, /* too short for a part */
	{ "worqxyz", NULL },
	{ "xyz", NULL },
	{ "u", NULL },
	{ "", NULL },
	{ "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", NULL },
};

START_TEST(the_nearest_word_is_found)
{
	struct nearest nearest = nearest_begin(cases[_i].wrong);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		nearest_try(&nearest, words[i]);
	if (cases[_i].best == NULL)
		ck_assert_ptr_null(nearest.best);
	else
		ck_assert_pstr_eq(nearest.best, cases[_i].best);
}
END_TEST

START_TEST(a_part_is_less_near_than_a_slip)
{
	struct nearest nearest = nearest_begin("workes");

	nearest_try(&nearest, "max_workes_count");
	ck_assert_pstr_eq(nearest.best, "max_workes_count");
	nearest_try(&nearest, "workers");
	nearest_try(&nearest, "min_workes_count");
	ck_assert_pstr_eq(nearest.best, "workers");
}
END_TEST

START_TEST(something_of_the_word_is_left)
{
	struct nearest nearest = nearest_begin("x");

	nearest_try(&nearest, "y");
	ck_assert_ptr_null(nearest.best);
}
END_TEST

START_TEST(long_words_are_not_compared)
{
	struct nearest nearest = nearest_begin("abcdefghijklmnopqrstuvwxyz");

	nearest_try(&nearest, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst");
	ck_assert_ptr_null(nearest.best);
	nearest = nearest_begin("abcdefghijklmnopqrstuvwxyz0123456789");
	nearest_try(&nearest, "abcdefghijklmnopqrstuvwxyz012345");
	ck_assert_ptr_null(nearest.best);
}
END_TEST

Suite *
nearest_suite(void)
{
	Suite *suite = suite_create("nearest");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, the_nearest_word_is_found, 0,
	    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, a_part_is_less_near_than_a_slip);
	tcase_add_test(tests, something_of_the_word_is_left);
	tcase_add_test(tests, long_words_are_not_compared);
	suite_add_tcase(suite, tests);
	return suite;
}
