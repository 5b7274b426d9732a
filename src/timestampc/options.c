#include "timestampc/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/usage.h"
#include "ping/payload.h"

#define PROGRAM "timestampc"

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

#define OPTION_TEXT_MAX 16
#define JOBS 4 /* TALK to ONE */

/* What is known while options are read. */
struct reading {
	unsigned jobs;     /* with which all options so far go */
	int against[JOBS]; /* for each other one: the first that does not */
	sa_family_t family;
};

/* "-W", "--max-rtt" */
static const char *
option_text(int option, char text[OPTION_TEXT_MAX])
{
	const struct option *row = long_options;

	snprintf(text, OPTION_TEXT_MAX, "-%c", option);
	for (; row->name != NULL; row++)
		if (row->val == option && option >= MAX_LOSS)
			snprintf(text, OPTION_TEXT_MAX, "--%s", row->name);
	return text;
}

static int
complain(const struct rule *rule, const char *problem)
{
	char text[OPTION_TEXT_MAX];

	return usage_complain(PROGRAM, "%s %s: %s",
	    option_text(rule->option, text), optarg, problem);
}

/* For those who know ping(8): its -i and -s, with an option of -P. */
static const char *
find_hint(int option, int other, unsigned jobs, unsigned before)
{
	bool is_ping = jobs == PING || before == PING;
	bool is_habit = option == 'i' || option == 's' || other == 'i' ||
	                other == 's';

	return is_ping && is_habit ? " (the size is -l, the interval -I)" : "";
}

/* Rules out the jobs that an option does not go with.  -1: none is left. */
static int
narrow(struct reading *reading, int option, unsigned jobs)
{
	char text[OPTION_TEXT_MAX], other[OPTION_TEXT_MAX];
	int job = 0;

	if ((reading->jobs & jobs) == 0) {
		while ((jobs & 1U << job) == 0)
			job++;
		int against = reading->against[job];
		return usage_complain(PROGRAM, "%s does not go with %s%s",
		    option_text(option, text), option_text(against, other),
		    find_hint(option, against, jobs, reading->jobs));
	}
	for (; job < JOBS; job++)
		if ((reading->jobs & ~jobs & 1U << job) != 0)
			reading->against[job] = option;
	reading->jobs &= jobs;
	return 0;
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

/* Finds the rule of an option and carries it out. */
static int
apply(struct client_options *options, int option, struct reading *reading)
{
	const struct rule *rule = rules,
			  *end = rules + sizeof(rules) / sizeof(rules[0]);

	while (rule < end && rule->option != option)
		rule++;
	if (rule == end || narrow(reading, option, rule->jobs) == -1)
		return -1;
	void *field = (char *)options + rule->field;
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

/* -1 after a complaint. */
static int
read_option(struct client_options *options, int option, struct reading *reading)
{
	switch (option) {
	case 'h':
		options->job = CLIENT_HELP;
		return 0;
	case 'V':
		options->job = CLIENT_VERSION;
		return 0;
	case 'P':
		options->job = CLIENT_PING;
		return narrow(reading, option, PING);
	case '1':
		options->job = CLIENT_ONE;
		options->text = optarg;
		return narrow(reading, option, ONE);
	case '4':
	case '6':
		reading->family = option == '4' ? AF_INET : AF_INET6;
		return 0;
	default:
		return apply(options, option, reading);
	}
}

/* Without -P and -1 the input decides the job.  -1 after a complaint. */
static int
find_job(struct client_options *options, struct reading *reading)
{
	char text[OPTION_TEXT_MAX];

	if (options->job != CLIENT_PIPE)
		return 0;
	if ((reading->jobs & LINES) == 0)
		return usage_complain(PROGRAM, "%s goes with -P only",
		    option_text(reading->against[CLIENT_PIPE], text));
	if (!isatty(STDIN_FILENO))
		return 0;
	options->job = CLIENT_TALK;
	if ((reading->jobs & TALK) == 0)
		return usage_complain(PROGRAM,
		    "%s needs an input that is not a terminal",
		    option_text(reading->against[CLIENT_TALK], text));
	return 0;
}

/* -1 unless options and arguments go together, after a complaint. */
static int
check(const struct client_options *options, char *const *arguments)
{
	if (options->since_before && options->since_start)
		return usage_complain(PROGRAM, "-i does not go with -s");
	if (options->text != NULL && strchr(options->text, '\n') != NULL)
		return usage_complain(PROGRAM, "-1 needs a text of one line");
	if (arguments[0] != NULL && arguments[1] != NULL)
		return usage_complain(PROGRAM, "'%s': only one TARGET is taken",
		    arguments[1]);
	return 0;
}

/* -1 after a complaint. */
static int
read_options(struct client_options *options, struct reading *reading, int argc,
    char **argv)
{
	int option, rc = 0;

	opterr = 0;
	while (rc == 0 && (option = getopt_long(argc, argv,
			       ":46jqvW:isw:G:S:PAc:I:l:d:1:hV", long_options,
			       NULL)) != -1)
		rc = option == '?' || option == ':'
		       ? usage_refuse(PROGRAM, option, argv, long_options)
		       : read_option(options, option, reading);
	return rc;
}

int
client_options_parse(struct client_options *options, int argc, char **argv)
{
	struct reading reading = { .jobs = LINES | PING | ONE,
		.family = AF_UNSPEC };

	*options = (struct client_options){ .job = CLIENT_PIPE,
		.wait_ns = WAIT_NS,
		.interval_ns = INTERVAL_NS,
		.window_bytes = WINDOW_BYTES };
	if (read_options(options, &reading, argc, argv) == -1)
		return -1;
	if (options->job == CLIENT_HELP || options->job == CLIENT_VERSION)
		return 0;
	if (find_job(options, &reading) == -1 ||
	    check(options, argv + optind) == -1)
		return -1;
	const char *text = optind < argc ? argv[optind] : "tcp:localhost";
	if (target_parse(&options->target, text) == -1)
		return usage_complain(PROGRAM,
		    "'%s': needs HOST, udp:HOST:PORT, tcp:[::1]:PORT, "
		    "unix:/path or the like",
		    text);
	options->target.family = reading.family;
	return 0;
}
