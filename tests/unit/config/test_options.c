#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "config/options.h"
#include "harness/scratch.h"
#include "unit/suites.h"

#define COUNT(argv) (int)(sizeof(argv) / sizeof((argv)[0]) - 1)

START_TEST(all_options)
{
	char *argv[] = { "timestampd", "-c", "file", "--listen=tcp:1", "-l",
		"udp:2", "-dTVh", "-o", "workers=3", "--option=user=daemon",
		NULL };
	struct options options;

	optind = 0;
	ck_assert_int_eq(options_parse(&options, COUNT(argv), argv), 0);
	ck_assert_str_eq(options.source.path, "file");
	ck_assert_uint_eq(options.source.spec_count, 2);
	ck_assert_str_eq(options.specs[1], "udp:2");
	ck_assert_uint_eq(options.source.setting_count, 2);
	ck_assert_str_eq(options.source.settings[1], "user=daemon");
	ck_assert(options.source.debug && !options.test && options.show);
	ck_assert(options.version && options.help);
	options_free(&options);
}
END_TEST

START_TEST(options_that_ask_a_server)
{
	char *reload[] = { "timestampd", "--reload", NULL };
	char *json[] = { "timestampd", "-s", "--json", NULL };
	struct options options;

	optind = 0;
	ck_assert_int_eq(options_parse(&options, COUNT(reload), reload), 0);
	ck_assert(options.reload && !options.status);
	options_free(&options);
	optind = 0;
	ck_assert_int_eq(options_parse(&options, COUNT(json), json), 0);
	ck_assert(options.status && options.json);
	options_free(&options);
}
END_TEST

static char *wrong[][5] = {
	{ "timestampd", "file" },
	{ "timestampd", "--port", "1" },
	{ "timestampd", "-r", "1" },
	{ "timestampd", "-j" },
	{ "timestampd", "-rj" },
	{ "timestampd", "-r", "-s" },
	{ "timestampd", "-t", "-s" },
};

START_TEST(wrong_command_lines)
{
	struct options options;
	int count = 0;

	while (wrong[_i][count] != NULL)
		count++;
	fclose(stderr);
	stderr = fopen("/dev/null", "w");
	optind = 0;
	ck_assert_int_eq(options_parse(&options, count, wrong[_i]), -1);
	options_free(&options);
}
END_TEST

static int
load(int argc, char **argv, struct config **config)
{
	struct options options;
	FILE *nowhere = fopen("/dev/null", "w");

	optind = 0;
	ck_assert_int_eq(options_parse(&options, argc, argv), 0);
	int status = options_load(&options, config, nowhere);
	options_free(&options);
	fclose(nowhere);
	return status;
}

START_TEST(configuration_and_its_status)
{
	char *good[] = { "timestampd", "-c", "main", "-d", "-l", "tcp:9",
		NULL };
	char *bad_file[] = { "timestampd", "-c", "nowhere", NULL };
	char *bad_spec[] = { "timestampd", "-c", "main", "-l", "x", NULL };
	struct config *config;

	scratch_write("main", "workers = 5;\n");
	ck_assert_int_eq(load(COUNT(good), good, &config), 0);
	ck_assert_int_eq(config->workers, 5);
	ck_assert_int_eq(config->log_level, LOG_DEBUG);
	ck_assert_int_eq(config->listeners[0].port, 9);
	config_free(config);
	ck_assert_int_eq(load(COUNT(bad_file), bad_file, &config), EX_CONFIG);
	ck_assert_int_eq(load(COUNT(bad_spec), bad_spec, &config), EX_USAGE);
}
END_TEST

Suite *
options_suite(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, all_options);
	tcase_add_test(tests, options_that_ask_a_server);
	tcase_add_loop_test(tests, wrong_command_lines, 0,
	    sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tests, configuration_and_its_status);
	suite_add_tcase(suite, tests);
	return suite;
}
