#include "config/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/message.h"
#include "base/usage.h"

#define DEFAULT_PATH SYSCONFDIR "/timestampd.conf"

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "option", required_argument, NULL, 'o' },
	{ "reload", no_argument, NULL, 'r' },
	{ "status", no_argument, NULL, 's' },
	{ "json", no_argument, NULL, 'j' },
	{ "test", no_argument, NULL, 't' },
	{ "show", no_argument, NULL, 'T' },
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
	['T'] = offsetof(struct options, show),
	['d'] = offsetof(struct options, source.debug),
	['V'] = offsetof(struct options, version),
	['h'] = offsetof(struct options, help),
};

/* Only control says something about a server that runs. */
static void
note_setting(struct options *options, int option)
{
	if (option == 'l' ||
	    (option == 'o' && strncmp(optarg, "control=", 8) != 0))
		options->unheard = optarg;
}

/* A shell ends a word at a space. */
static void
note_hint(struct options *options, int option)
{
	if (option == 'o' && strchr(optarg, '=') == NULL)
		options->hint = "; -o takes NAME=VALUE in one word";
	else if (option == 'l' && optarg[0] != '\0' &&
		 optarg[strlen(optarg) - 1] == ',')
		options->hint = "; -l takes all of SPEC in one word";
}

/* -1 after a complaint. */
static int
parse_one(struct options *options, int option, char **argv)
{
	struct config_source *source = &options->source;

	note_setting(options, option);
	note_hint(options, option);
	if (option == 'c')
		source->path = optarg;
	else if (option == 'l')
		options->specs[source->spec_count++] = optarg;
	else if (option == 'o')
		options->settings[source->setting_count++] = optarg;
	else if (option == '?' || option == ':')
		return usage_refuse("timestampd", option, argv, long_options);
	else
		*(bool *)((char *)options + switches[option]) = true;
	return 0;
}

/* What may have been meant by a word that is not an option. */
static const char *
advise_stray(const struct options *options, const char *stray)
{
	if (options->hint != NULL)
		return options->hint;
	if (strchr(stray, '=') != NULL)
		return "; -o is missing in front of it";
	if (stray[0] == '/')
		return "; -c is missing in front of it";
	return strchr(stray, ':') ? "; -l is missing in front of it" : "";
}

/* -1 unless the options go together; says why not. */
static int
check(const struct options *options, const char *stray)
{
	if (stray != NULL && options->reload)
		return usage_complain("timestampd",
		    "'%s' is not an option; -r takes no process number, it "
		    "asks at the control socket",
		    stray);
	if (stray != NULL)
		return usage_complain("timestampd", "'%s' is not an option%s",
		    stray, advise_stray(options, stray));
	if (options->reload + options->status + options->test + options->show >
	    1)
		return usage_complain("timestampd",
		    "-r, -s, -t and -T exclude each other");
	if ((options->reload || options->status) && options->unheard != NULL)
		return usage_complain("timestampd",
		    "'%s' does not reach the running server: change its file",
		    options->unheard);
	if (options->json && !options->status)
		return usage_complain("timestampd", "-j goes with -s only");
	return 0;
}

static int
parse_all(struct options *options, int argc, char **argv)
{
	int option, rc = 0;

	opterr = 0;
	while (rc == 0 && (option = getopt_long(argc, argv, ":c:l:o:rsjtTdVh",
			       long_options, NULL)) != -1)
		rc = parse_one(options, option, argv);
	return rc == 0 ? check(options, argv[optind]) : -1;
}

int
options_parse(struct options *options, int argc, char **argv)
{
	struct config_source *source = &options->source;

	*options = (struct options){ 0 };
	options->specs = calloc((size_t)argc, sizeof(char *));
	options->settings = calloc((size_t)argc, sizeof(char *));
	if (options->specs == NULL || options->settings == NULL) {
		perror("timestampd");
		return -1;
	}
	source->specs = options->specs;
	source->settings = options->settings;
	if (parse_all(options, argc, argv) == -1)
		return -1;
	/* Decided once: a reload while the file is missing for a moment must
	 * fail, not listen on every address. */
	if (source->path == NULL &&
	    (access(DEFAULT_PATH, F_OK) == 0 || errno != ENOENT))
		source->path = DEFAULT_PATH;
	return 0;
}

void
options_free(struct options *options)
{
	free(options->specs);
	free(options->settings);
}

int
options_load(const struct options *options, struct config **config,
    FILE *errors)
{
	struct config_source source = options->source;

	/* A log gets a line for each fault. */
	source.with_pictures = options->test ||
	                       (errors == stderr && isatty(STDERR_FILENO));
	return config_load(config, &source, errors);
}
