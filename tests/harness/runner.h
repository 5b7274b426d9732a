#ifndef HARNESS_RUNNER_H
#define HARNESS_RUNNER_H

#include <check.h>
#include <stddef.h>

/* A suite by the name that it has for Check. */
struct runner_suite {
	const char *name;
	Suite *(*make)(void);
};

#define RUNNER_SUITE(suite)                                                    \
	{                                                                      \
		.name = #suite, .make = suite##_suite                          \
	}

/*
 * Runs the suites that the arguments name, all if there are none; "-l" prints
 * the names instead.  Returns an exit status.
 */
int runner_main(int argc, char **argv, const struct runner_suite *suites,
    size_t count);

#endif
