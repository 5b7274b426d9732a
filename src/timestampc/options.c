#include "timestampc/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ping/payload.h"

#define WAIT_NS 5000000000
#define INTERVAL_NS 1000000000
#define WINDOW_BYTES 1048576UL
#define WINDOW_MIN 4096
#define WINDOW_MAX (1L << 40)
#define PAYLOAD_MAX 1048576

/* Numbers of the options that have no letter. */
enum { MAX_LOSS = 256, MAX_RTT, MAX_OFFSET, OFFSET };

static const struct option long_options[] = {
	{ "ping", no_argument, NULL, 'P' },
	{ "json", no_argument, NULL, 'j' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "spool", required_argument, NULL, 'S' },
	{ "max-loss", required_argument, NULL, MAX_LOSS },
	{ "max-rtt", required_argument, NULL, MAX_RTT },
	{ "max-offset", required_argument, NULL, MAX_OFFSET },
	{ "offset", required_argument, NULL, OFFSET },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

#define TALK (1U << CLIENT_TALK)
#define PIPE (1U << CLIENT_PIPE)
#define LINES (TALK | PIPE)
#define PING (1U << CLIENT_PING)
#define ONE (1U << CLIENT_ONE)

#define SETS(name) .field = offsetof(struct client_options, name)
#define GIVEN(name) .given = offsetof(struct client_options, name)

/* What an option sets, and with which jobs it goes. */
static const struct rule {
	int option;
	unsigned jobs;
	enum { SWITCH, TEXT, SIZE, COUNT, TIME, SIGNED_TIME, PERCENT } kind;
	size_t field;
	double unit;  /* of a time, in ns */
	size_t given; /* a bool that says that it was given; 0: none */
	double min, max;
} rules[] = {
	{ 'j', LINES | PING | ONE, SWITCH, SETS(json) },
	{ 'q', LINES | PING, SWITCH, SETS(quiet) },
	{ 'v', LINES | ONE, SWITCH, SETS(verbose) },
	{ 'i', LINES, SWITCH, SETS(since_before) },
	{ 's', LINES, SWITCH, SETS(since_start) },
	{ 'A', PING, SWITCH, SETS(adaptive) },
	{ 'S', PIPE, TEXT, SETS(spool) },
	{ 'w', PIPE, SIZE, SETS(window_bytes), .min = WINDOW_MIN,
	    .max = WINDOW_MAX },
	{ 'l', PING, SIZE, SETS(payload_bytes), .min = PAYLOAD_MIN,
	    .max = PAYLOAD_MAX },
	{ 'c', PING, COUNT, SETS(count), .min = 1, .max = 1e15 },
	{ 'W', LINES | PING | ONE, TIME, SETS(wait_ns), .unit = 1e9,
	    .max = 1e6 },
	{ 'G', PIPE, TIME, SETS(give_up_ns), GIVEN(has_give_up), .unit = 1e9,
	    .max = 1e9 },
	{ 'I', PING, TIME, SETS(interval_ns), GIVEN(has_interval), .unit = 1e9,
	    .max = 1e6 },
	{ 'd', PING, TIME, SETS(duration_ns), .unit = 1e9, .min = 0.001,
	    .max = 1e9 },
	{ MAX_LOSS, PING, PERCENT, SETS(max_loss_percent), GIVEN(has_max_loss),
	    .max = 100 },
	{ MAX_RTT, PING, SIGNED_TIME, SETS(max_rtt_ns), GIVEN(has_max_rtt),
	    .unit = 1e6, .max = 1e9 },
	{ MAX_OFFSET, PING, SIGNED_TIME, SETS(max_offset_ns),
	    GIVEN(has_max_offset), .unit = 1e6, .max = 1e12 },
	{ OFFSET, PING, SIGNED_TIME, SETS(offset_ns), GIVEN(has_offset),
	    .unit = 1e9, .min = -9e9, .max = 9e9 },
};

static const char *
option_text(int option, char text[3])
{
	for (const struct option *row = long_options; row->name != NULL; row++)
		if (row->val == option && option >= MAX_LOSS)
			return row->name;
	snprintf(text, 3, "-%c", option);
	return text;
}

static int
complain(const struct rule *rule, const char *problem)
{
	char text[3];

	fprintf(stderr, "timestampc: %s%s %s: %s\n",
	    rule->option >= MAX_LOSS ? "--" : "",
	    option_text(rule->option, text), optarg, problem);
	return -1;
}

/* Sets a field that is a number. */
static int
set_number(const struct rule *rule, void *field)
{
	char *end, problem[80];
	double number = strtod(optarg, &end);

	snprintf(problem, sizeof(problem), "needs a number from %.15g to %.15g",
	    rule->min, rule->max);
	if (end == optarg || *end != '\0' || !(number >= rule->min) ||
	    !(number <= rule->max))
		return complain(rule, problem);
	if ((rule->kind == SIZE || rule->kind == COUNT) &&
	    number != floor(number))
		return complain(rule, "needs a whole number");
	if (rule->kind == SIZE)
		*(size_t *)field = (size_t)number;
	else if (rule->kind == COUNT)
		*(uint64_t *)field = (uint64_t)number;
	else if (rule->kind == TIME)
		*(uint64_t *)field = (uint64_t)llround(number * rule->unit);
	else if (rule->kind == SIGNED_TIME)
		*(int64_t *)field = llround(number * rule->unit);
	else
		*(double *)field = number;
	return 0;
}

/* Finds the rule of an option and carries it out; *jobs loses the others. */
static int
apply(struct client_options *options, int option, unsigned *jobs)
{
	const struct rule *rule = rules,
			  *end = rules + sizeof(rules) / sizeof(rules[0]);

	while (rule < end && rule->option != option)
		rule++;
	if (rule == end)
		return -1;
	void *field = (char *)options + rule->field;
	*jobs &= rule->jobs;
	if (rule->given != 0)
		*(bool *)((char *)options + rule->given) = true;
	if (rule->kind == SWITCH)
		*(bool *)field = true;
	else if (rule->kind == TEXT)
		*(const char **)field = optarg;
	else
		return set_number(rule, field);
	return 0;
}

/* -1 after a complaint, by us or by getopt. */
static int
read_option(struct client_options *options, int option, unsigned *jobs,
    sa_family_t *family)
{
	if (option == '?')
		return -1;
	if (option == 'h' || option == 'V')
		options->job = option == 'h' ? CLIENT_HELP : CLIENT_VERSION;
	else if (option == 'P')
		options->job = CLIENT_PING, *jobs &= PING;
	else if (option == '1')
		options->job = CLIENT_ONE, *jobs &= ONE, options->text = optarg;
	else if (option == '4' || option == '6')
		*family = option == '4' ? AF_INET : AF_INET6;
	else
		return apply(options, option, jobs);
	return 0;
}

/* Whether options and arguments go together; says why not. */
static bool
is_consistent(const struct client_options *options, unsigned jobs, int argc)
{
	if (jobs == 0)
		fprintf(stderr, "timestampc: these options do not go "
				"together\n");
	else if (options->job == CLIENT_TALK && !(jobs & TALK))
		fprintf(stderr, "timestampc: -S, -w and -G need an input that "
				"is not a terminal\n");
	else if (options->since_before && options->since_start)
		fprintf(stderr, "timestampc: -i and -s exclude each other\n");
	else if (options->text != NULL && strchr(options->text, '\n') != NULL)
		fprintf(stderr, "timestampc: -1: needs a text of one line\n");
	else if (argc > 1)
		fprintf(stderr, "timestampc: one TARGET only\n");
	else
		return true;
	return false;
}

int
client_options_parse(struct client_options *options, int argc, char **argv)
{
	static char name[] = "timestampc";
	unsigned jobs = LINES | PING | ONE;
	sa_family_t family = AF_UNSPEC;
	int option;

	if (argc > 0)
		argv[0] = name; /* in the messages of getopt */
	*options = (struct client_options){ .job = CLIENT_PIPE,
		.wait_ns = WAIT_NS,
		.interval_ns = INTERVAL_NS,
		.window_bytes = WINDOW_BYTES };
	while ((option = getopt_long(argc, argv,
		    "46jqvW:isw:G:S:PAc:I:l:d:1:hV", long_options, NULL)) != -1)
		if (read_option(options, option, &jobs, &family) == -1)
			return -1;
	if (options->job == CLIENT_HELP || options->job == CLIENT_VERSION)
		return 0;
	if (options->job == CLIENT_PIPE) {
		jobs &= LINES;
		options->job = isatty(STDIN_FILENO) ? CLIENT_TALK : CLIENT_PIPE;
	}
	if (!is_consistent(options, jobs, argc - optind))
		return -1;
	const char *text = optind < argc ? argv[optind] : "tcp:localhost";
	if (target_parse(&options->target, text) == -1) {
		fprintf(stderr,
		    "timestampc: %s: needs HOST, udp:HOST:PORT, "
		    "tcp:[::1]:PORT, unix:/path or the like\n",
		    text);
		return -1;
	}
	options->target.family = family;
	return 0;
}
