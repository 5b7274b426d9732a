#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/streams.h"
#include "config/config.h"
#include "config/options.h"
#include "config/summary.h"
#include "server/control.h"
#include "server/server.h"

static int
show(const struct options *options)
{
	int status = config_show(&options->source, stdout, stderr);

	if (status != 0 || (fflush(stdout) == 0 && !ferror(stdout)))
		return status;
	perror("timestampd: output");
	return EX_IOERR;
}

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
	if (options->show)
		return show(options);
	int status = options_load(options, &config, stderr);
	if (status != 0)
		return status;
	if (!options->test && !options->reload && !options->status)
		return server_run(config, options);
	if (options->test)
		summary_print(stdout, options->source.path, config);
	else
		status = control_ask(config->control,
		    options->reload ? "reload" : request);
	config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options;
	int status = EX_USAGE;

	if (streams_open() == -1) {
		perror("/dev/null");
		return EX_OSERR;
	}
	log_open();
	if (options_parse(&options, argc, argv) == 0)
		status = run(&options);
	options_free(&options);
	return status;
}
