#include "config/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/message.h"

#define DEFAULT_PATH SYSCONFDIR "/timestampd.conf"

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "reload", no_argument, NULL, 'r' },
	{ "status", no_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "test", no_argument, NULL, 't' },
	{ "debug", no_argument, NULL, 'd' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* The options without an argument, by their letter. */
static const size_t switches[] = {
	['r'] = offsetof(struct options, reload),
	['s'] = offsetof(struct options, status),
	['j'] = offsetof(struct options, json),
	['t'] = offsetof(struct options, test),
	['d'] = offsetof(struct options, debug),
	['V'] = offsetof(struct options, version),
	['h'] = offsetof(struct options, help),
};

static int
parse_one(struct options *options, int option)
{
	if (option == 'c')
		options->config_path = optarg;
	else if (option == 'l')
		options->specs[options->spec_count++] = optarg;
	else if (option == '?')
		return -1;
	else
		*(bool *)((char *)options + switches[option]) = true;
	return 0;
}

/* Whether the options go together; says why not. */
static bool
is_consistent(const struct options *options, const char *stray)
{
	if (stray != NULL)
		message_print(stderr, "'%s' is not an option%s\n", stray,
		    options->reload ? "; -r takes no process number any more, "
				      "it asks at the control socket"
				    : "");
	else if (options->reload + options->status + options->test > 1)
		fprintf(stderr, "-r, -s and -t exclude each other\n");
	else if (options->json && !options->status)
		fprintf(stderr, "-j goes with -s only\n");
	else
		return true;
	return false;
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
	while ((option = getopt_long(argc, argv, "c:l:rsjtdVh", long_options,
		    NULL)) != -1)
		if (parse_one(options, option) == -1)
			return -1;
	/* Decided once: a reload while the file is missing for a moment must
	 * fail, not listen on every address. */
	if (options->config_path == NULL &&
	    (access(DEFAULT_PATH, F_OK) == 0 || errno != ENOENT))
		options->config_path = DEFAULT_PATH;
	return is_consistent(options, argv[optind]) ? 0 : -1;
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
		*config = NULL;
		return EX_USAGE;
	}
	if (options->debug)
		(*config)->log_level = LOG_DEBUG;
	return 0;
}
