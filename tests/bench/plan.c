#include "plan.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const struct option options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "server", required_argument, NULL, 'S' },
	{ "connections", required_argument, NULL, 'c' },
	{ "deaf", required_argument, NULL, 'd' },
	{ "window", required_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 's' },
	{ "warm-ms", required_argument, NULL, 'W' },
	{ "run-ms", required_argument, NULL, 'r' },
	{ "prefix", required_argument, NULL, 'x' },
	{ "request", required_argument, NULL, 'q' },
	{ "reply", required_argument, NULL, 'a' },
	{ NULL, 0, NULL, 0 },
};

static int
number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end != '\0' || value < 0 || value > 100000000)
		errx(64, "%s is not a number from 0 to 100000000", text);
	return (int)value;
}

static void
set(struct plan *plan, int option, const char *value)
{
	switch (option) {
	case 'p':
		plan->port = number(value);
		break;
	case 'S':
		plan->server = number(value);
		break;
	case 'c':
		plan->connections = number(value);
		break;
	case 'd':
		plan->deaf = number(value);
		break;
	case 'w':
		plan->window = number(value);
		break;
	case 's':
		plan->size = number(value);
		break;
	case 'W':
		plan->warm_ns = (uint64_t)number(value) * 1000000U;
		break;
	case 'r':
		plan->run_ns = (uint64_t)number(value) * 1000000U;
		break;
	case 'x':
		plan->prefix = value;
		break;
	case 'q':
		plan->request = value;
		break;
	case 'a':
		plan->reply = value;
		break;
	default:
		exit(64);
	}
}

void
plan_parse(struct plan *plan, int argc, char **argv)
{
	int option;

	*plan = (struct plan){
		.connections = 1,
		.window = 1,
		.size = 64,
		.warm_ns = 100000000,
		.run_ns = 500000000,
	};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		set(plan, option, optarg);
	if (optind != argc - 1 || plan->port == 0 || plan->server == 0)
		errx(64, "usage: load --port N --server PID [...] WORKLOAD");
	if (plan->size < 1 || plan->connections < 1 || plan->window < 1)
		errx(64, "sizes and counts are at least 1");
	plan->workload = argv[optind];
}
