#include "config/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define DEFAULT_PATH SYSCONFDIR "/timestampd.conf"

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "reload", required_argument, NULL, 'r' },
	{ "test", no_argument, NULL, 't' },
	{ "debug", no_argument, NULL, 'd' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
parse_pid(struct options *options, const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (end == text || *end != '\0' || pid <= 0 || pid > INT_MAX) {
		fprintf(stderr, "-r %s: wants the number of a process\n", text);
		return -1;
	}
	options->reload_pid = (int)pid;
	return 0;
}

static int
parse_one(struct options *options, int option)
{
	switch (option) {
	case 'c':
		options->config_path = optarg;
		return 0;
	case 'l':
		options->specs[options->spec_count++] = optarg;
		return 0;
	case 'r':
		return parse_pid(options, optarg);
	case 't':
		options->test = true;
		return 0;
	case 'd':
		options->debug = true;
		return 0;
	case 'V':
		options->version = true;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	default:
		return -1;
	}
}

int
options_parse(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){ 0 };
	options->specs = calloc((size_t)argc, sizeof(char *));
	if (options->specs == NULL) {
		perror(argv[0]);
		return -1;
	}
	while ((option = getopt_long(argc, argv, "c:l:r:tdVh", long_options,
		    NULL)) != -1)
		if (parse_one(options, option) == -1)
			return -1;
	/* For good: a file that is away for a moment is no reason to listen on
	 * every address. */
	if (options->config_path == NULL &&
	    (access(DEFAULT_PATH, F_OK) == 0 || errno != ENOENT))
		options->config_path = DEFAULT_PATH;
	if (optind < argc) {
		fprintf(stderr, "%s: '%s' is no option\n", argv[0],
		    argv[optind]);
		return -1;
	}
	return 0;
}

void
options_free(struct options *options)
{
	free(options->specs);
}

int
options_load(const struct options *options, struct config **config,
    FILE *errors)
{
	*config = config_load(options->config_path, errors);
	if (*config == NULL)
		return EX_CONFIG;
	if (options->spec_count > 0 &&
	    config_set_listeners(*config, options->specs, options->spec_count,
		errors) == -1) {
		config_free(*config);
		return EX_USAGE;
	}
	if (options->debug)
		(*config)->log_level = LOG_DEBUG;
	return 0;
}
