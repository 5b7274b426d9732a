#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "timestampc/options.h"
#include "unit/suites.h"

#define WORDS 12

static char said[256]; /* on standard error */

/* Parses the words of line; they stay valid until the next call. */
static int
parse(struct client_options *options, const char *line)
{
	static char text[256];
	char *argv[WORDS + 1] = { NULL };
	int argc = 0;

	snprintf(text, sizeof(text), "timestampc %s", line);
	for (char *word = strtok(text, " "); word != NULL;
	     word = strtok(NULL, " "))
		argv[argc++] = word;
	optind = 0; /* glibc: begin anew */
	fclose(stderr);
	memset(said, 0, sizeof(said));
	stderr = fmemopen(said, sizeof(said) - 1, "w");
	/* Not a terminal, whatever runs this. */
	fclose(stdin);
	stdin = fopen("/dev/null", "r");
	int result = client_options_parse(options, argc, argv);
	fflush(stderr);
	return result;
}

START_TEST(nothing_given)
{
	struct client_options options;

	ck_assert_int_eq(parse(&options, ""), 0);
	ck_assert_int_eq(options.job, CLIENT_PIPE);
	ck_assert_str_eq(options.target.host, "localhost");
	ck_assert_int_eq(options.target.port, 21567);
	ck_assert_uint_eq(options.wait_ns, 5000000000);
	ck_assert_uint_eq(options.window_bytes, 1024 * 1024);
	ck_assert(!options.has_give_up && options.spool == NULL);
}
END_TEST

START_TEST(all_of_a_pipe)
{
	struct client_options options;

	ck_assert_int_eq(parse(&options,
			     "-6jqv -i -w 65536 -G 2.5 -S file -W 0.1 host:7"),
	    0);
	ck_assert(options.json && options.quiet && options.verbose);
	ck_assert(options.since_before && !options.since_start);
	ck_assert_uint_eq(options.window_bytes, 65536);
	ck_assert(options.has_give_up);
	ck_assert_uint_eq(options.give_up_ns, 2500000000);
	ck_assert_uint_eq(options.wait_ns, 100000000);
	ck_assert_str_eq(options.spool, "file");
	ck_assert_int_eq(options.target.family, AF_INET6);
	ck_assert_int_eq(options.target.port, 7);
}
END_TEST

START_TEST(all_of_ping)
{
	struct client_options options;

	ck_assert_int_eq(parse(&options, "-PA -c 9 -I 0.2 -l 64 -d 7 "
					 "--max-loss=0.5 --max-rtt=1.5"),
	    0);
	ck_assert_int_eq(options.job, CLIENT_PING);
	ck_assert(options.adaptive && options.has_interval);
	ck_assert_uint_eq(options.count, 9);
	ck_assert_uint_eq(options.interval_ns, 200000000);
	ck_assert_uint_eq(options.payload_bytes, 64);
	ck_assert_uint_eq(options.duration_ns, 7000000000);
	ck_assert(options.has_max_loss && options.max_loss_percent == 0.5);
	ck_assert(options.has_max_rtt && !options.has_max_offset);
	ck_assert_int_eq(options.max_rtt_ns, 1500000);
	ck_assert_int_eq(parse(&options, "-P --offset=-1.5 --max-offset=2"), 0);
	ck_assert_int_eq(options.offset_ns, -1500000000);
	ck_assert_int_eq(options.max_offset_ns, 2000000);
}
END_TEST

static const char *const bad[] = { "-x", "-W", "-W x", "-W -1", "-W 1x",
	"-W nan", "-w 4095", "-w 4096.5", "-c 0 -P", "-d 0 -P", "-P -i",
	"-P -S file", "-P -v", "-P -1 text", "-1 text -P", "-A", "-c 1",
	"-1 text -G 1", "-1 text -P -i", "-i -s", "a b", "--max-loss=101 -P",
	"--nosuch", "host:99999" };

START_TEST(other_command_lines_are_refused)
{
	struct client_options options;

	ck_assert_int_eq(parse(&options, bad[_i]), -1);
}
END_TEST

static const struct {
	const char *line;
	bool hints;
} habits[] = { { "-P -i 0.1 host", true }, { "-P -s 100 host", true },
	{ "-s 100 -P host", true }, { "-c 5 -i 0.1 host", true },
	{ "-i 0.1 -c 5 host", true }, { "-P -v host", false },
	{ "-1 text -i", false }, { "-P -1 text", false }, { "-i -s", false } };

START_TEST(habits_of_ping_get_a_hint)
{
	struct client_options options;

	ck_assert_int_eq(parse(&options, habits[_i].line), -1);
	ck_assert_msg((strstr(said, "(the size is -l, the interval -I)") !=
			  NULL) == habits[_i].hints,
	    "%s", said);
}
END_TEST

Suite *
client_options_suite(void)
{
	Suite *suite = suite_create("client_options");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, nothing_given);
	tcase_add_test(tests, all_of_a_pipe);
	tcase_add_test(tests, all_of_ping);
	tcase_add_loop_test(tests, other_command_lines_are_refused, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tests, habits_of_ping_get_a_hint, 0,
	    sizeof(habits) / sizeof(habits[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
