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

/* After the file was read here: what is wrong with it is said already. */
static int
ask_reload(const struct options *options)
{
	char answer[CONTROL_ANSWER_MAX];

	if (control_ask_reload(options->reload_pid, answer) == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s\n", answer);
	return EX_CONFIG;
}

static int
run(const struct options *options)
{
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
	if (!options->test && options->reload_pid == 0)
		return server_run(config, options);
	if (!options->test) {
		config_free(config);
		return ask_reload(options);
	}
	puts("the configuration is good");
	config_free(config);
	return EXIT_SUCCESS;
}

/* No socket may take the place of a standard stream that was closed. */
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
