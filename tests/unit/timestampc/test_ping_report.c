#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "timestampc/ping_report.h"
#include "unit/suites.h"

#define SECOND_NS INT64_C(1000000000)

static const struct {
	enum ping_event event;
	int64_t ns;
	const char *text, *json;
} events[] = {
	{ PING_CLOCK_SET, -SECOND_NS / 2,
	    "the clock of this host was set by -0.500000 s\n",
	    "\"clock_set\",\"by_ns\":-500000000}\n" },
	{ PING_SERVER_CLOCK_SET, 3 * SECOND_NS,
	    "the server's clock was set, by 3.000000 s at least: its "
	    "offset as measured before no longer counts\n",
	    "\"server_clock_set\",\"by_ns\":3000000000}\n" },
	{ PING_DRIFT, 1500,
	    "the clocks drift more than 100 ppm apart, by 0.000002 s: the "
	    "offset measured before no longer counts\n",
	    "\"drift\",\"by_ns\":1500}\n" },
	{ PING_NEW_ZONE, 20700 * SECOND_NS,
	    "the zone of the stamps is now taken as UTC+05:45\n",
	    "\"new_zone\",\"by_ns\":20700000000000}\n" },
};

/* Tells the event of that row, and reads what came out. */
static void
tell(const struct client_options *options, int row, char *text, size_t size)
{
	struct ping_account account = { .options = options };
	int ends[2], standard_output = dup(STDOUT_FILENO);

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	ping_report_event(&account, events[row].event, events[row].ns);
	fflush(stdout);
	dup2(standard_output, STDOUT_FILENO);
	close(standard_output);
	ssize_t len = read(ends[0], text, size - 1);
	ck_assert_int_ge(len, 0);
	text[len] = '\0';
	close(ends[0]);
}

START_TEST(events_are_told_in_words)
{
	struct client_options options = { 0 };
	char text[256];

	tell(&options, _i, text, sizeof(text));
	ck_assert_str_eq(text, events[_i].text);
}
END_TEST

START_TEST(events_are_told_as_json)
{
	struct client_options options = { .json = true };
	char text[256];

	tell(&options, _i, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, events[_i].json));
}
END_TEST

START_TEST(quiet_keeps_events_back)
{
	struct client_options options = { .quiet = true };
	char text[256];

	tell(&options, _i, text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

Suite *
ping_report_suite(void)
{
	Suite *suite = suite_create("ping_report");
	TCase *tests = tcase_create("all");
	int rows = sizeof(events) / sizeof(events[0]);

	tcase_add_loop_test(tests, events_are_told_in_words, 0, rows);
	tcase_add_loop_test(tests, events_are_told_as_json, 0, rows);
	tcase_add_loop_test(tests, quiet_keeps_events_back, 0, rows);
	suite_add_tcase(suite, tests);
	return suite;
}
