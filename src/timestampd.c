#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "config/options.h"
#include "server/control.h"
#include "server/server.h"

static int
run(const struct options *options)
{
	const char *request = options->json ? "counters json" : "counters";
	struct config *config;

	if (options->help) {
		fputs(OPTIONS_USAGE, stdout);
		return EXIT_SUCCESS;
	}
	if (options->version) {
		puts("timestampd " VERSION);
		return EXIT_SUCCESS;
	}
	int status = options_load(options, &config, stderr);
	if (status != 0)
		return status;
	if (!options->test && !options->reload && !options->status)
		return server_run(config, options);
	if (options->test)
		puts("the configuration is good");
	else
		status = control_ask(config->control,
		    options->reload ? "reload" : request);
	config_free(config);
	return status;
}

/* Otherwise a new socket could get the number of a closed standard stream. */
static int
open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", O_RDWR) == -1)
			return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct options options;
	int status = EX_USAGE;

	if (open_standard_streams() == -1) {
		perror("/dev/null");
		return EX_OSERR;
	}
	log_open();
	if (options_parse(&options, argc, argv) == 0)
		status = run(&options);
	else
		fputs(OPTIONS_USAGE, stderr);
	options_free(&options);
	return status;
}
