#include "harness/runner.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct runner_suite *
find(const struct runner_suite *suites, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(suites[i].name, name) == 0)
			return &suites[i];
	fprintf(stderr, "there is no suite %s; -l lists them\n", name);
	exit(EXIT_FAILURE);
}

int
runner_main(int argc, char **argv, const struct runner_suite *suites,
    size_t count)
{
	bool is_list = argc == 2 && strcmp(argv[1], "-l") == 0;
	SRunner *runner = srunner_create(NULL);

	/* Check's 4 s are too few with a sanitizer on a busy machine. */
	setenv("CK_DEFAULT_TIMEOUT", "120", 0);
	for (size_t i = 0; argc == 1 && i < count; i++)
		srunner_add_suite(runner, suites[i].make());
	for (int i = 1; !is_list && i < argc; i++)
		srunner_add_suite(runner, find(suites, count, argv[i])->make());
	for (size_t i = 0; is_list && i < count; i++)
		puts(suites[i].name);
	if (!is_list)
		srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
