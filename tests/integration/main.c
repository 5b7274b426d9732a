#include <stdio.h>
#include <stdlib.h>

#include "harness/runner.h"
#include "suites.h"

/* Those that take long first: they may run beside others. */
static const struct runner_suite suites[] = {
	RUNNER_SUITE(hang),
	RUNNER_SUITE(limits),
	RUNNER_SUITE(http),
	RUNNER_SUITE(stop),
	RUNNER_SUITE(stream),
	RUNNER_SUITE(network),
	RUNNER_SUITE(abuse),
	RUNNER_SUITE(notify),
	RUNNER_SUITE(proxy),
	RUNNER_SUITE(terminal),
	RUNNER_SUITE(settings),
	RUNNER_SUITE(handover),
	RUNNER_SUITE(control),
	RUNNER_SUITE(reload),
	RUNNER_SUITE(arrival),
	RUNNER_SUITE(clients),
	RUNNER_SUITE(command),
	RUNNER_SUITE(usage),
	RUNNER_SUITE(errors),
	RUNNER_SUITE(datagram),
	RUNNER_SUITE(segments),
	RUNNER_SUITE(unix_peer),
	RUNNER_SUITE(threads),
	RUNNER_SUITE(access),
	RUNNER_SUITE(client_log),
	RUNNER_SUITE(user),
	RUNNER_SUITE(passed),
};

int
main(int argc, char **argv)
{
	char *program = realpath(getenv("TIMESTAMPD"), NULL);

	/* The tests change their working directory. */
	if (program == NULL || setenv("TIMESTAMPD", program, 1) == -1) {
		fputs("TIMESTAMPD needs to name the server\n", stderr);
		return EXIT_FAILURE;
	}
	free(program);
	return runner_main(argc, argv, suites,
	    sizeof(suites) / sizeof(suites[0]));
}
