#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define FOLDER "tests/unit/errors"
#define FILES_MIN 60

static int
is_configuration(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot != NULL && strcmp(dot, ".conf") == 0;
}

/* Reads the text that is expected for the configuration name. */
static void
read_expected(const char *name, char *text, size_t size)
{
	char path[512];

	snprintf(path, sizeof(path), "%.*s.txt",
	    (int)(strrchr(name, '.') - name), name);
	FILE *file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s: no such file", path);
	size_t len = fread(text, 1, size - 1, file);
	fclose(file);
	text[len] = '\0';
}

/* Each is refused with the very text that stands beside it. */
START_TEST(every_wrong_file_is_explained)
{
	struct dirent **entries;
	char expected[16384];

	ck_assert_int_eq(chdir(FOLDER), 0);
	int count = scandir(".", &entries, is_configuration, alphasort);
	ck_assert_int_ge(count, FILES_MIN);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		const char *const arguments[] = { "-t", "-c", name, NULL };
		struct daemon daemon;
		int status = daemon_run(&daemon, arguments);
		ck_assert_msg(status == EX_CONFIG, "%s: %d", name, status);
		read_expected(name, expected, sizeof(expected));
		ck_assert_msg(strcmp(daemon.log, expected) == 0,
		    "%s is explained by:\n%s\n, and not by:\n%s", name,
		    daemon.log, expected);
		free(daemon.log);
		free(entries[i]);
	}
	free(entries);
}
END_TEST

/* A log has a line for each, also at a start that is not at a terminal. */
START_TEST(a_log_has_no_pictures)
{
	static const char *const arguments[] = { "-c", "conf", NULL };
	struct daemon daemon;

	scratch_write("conf", "wrokers = 4;\nlimits: { idle_timeout = 5m };\n");
	ck_assert_int_eq(daemon_run(&daemon, arguments), EX_CONFIG);
	ck_assert_str_eq(daemon.log,
	    "conf:1:1: wrokers: no such setting; did you mean \"workers\"?\n"
	    "conf:2:26: limits.idle_timeout: needs a whole number of seconds "
	    "from 0 to 31536000; 5m is 300\n");
	free(daemon.log);
}
END_TEST

START_TEST(a_reload_logs_a_line_for_each)
{
	struct daemon daemon;

	daemon_start_config(&daemon,
	    "listeners = ( { protocol = \"tcp\"; address = \"127.0.0.1\"; "
	    "port = 0; } );");
	daemon_reload(&daemon, "wrokers = 4;\nlog_level = debug;\n",
	    "conf:1:1: wrokers: no such setting; did you mean \"workers\"?\n");
	daemon_await(&daemon, "conf:2:13: text needs quotes: \"debug\"\n");
	daemon_await(&daemon, "reload refused: nothing has changed");
	ck_assert_ptr_null(strstr(daemon.log, "^"));
	daemon_stop(&daemon);
}
END_TEST

/* What a configuration does is said in a line. */
static const struct {
	const char *config, *summary;
} good[] = {
	{ "", "conf: OK: tcp *:21567 (chunk), udp *:21567; stamps ctime, "
	      "local\n" },
	{ "listeners = ( { protocol = \"tcp\"; address = \"[::1]\"; port = 7; "
	  "framing = \"line\"; },\n"
	  "{ protocol = \"udp\"; address = \"::1\"; },\n"
	  "{ protocol = \"unix\"; path = \"/run/a\";\n"
	  "proxy_protocol = \"accept\"; },\n"
	  "{ protocol = \"unix-seqpacket\"; path = \"/run/b\"; } );\n"
	  "stamp: { format = \"%H:%M\"; timezone = \"UTC\"; source = "
	  "\"arrival\"; };\n"
	  "http: { port = 9; };",
	    "conf: OK: tcp [::1]:7 (line), udp [::1]:21567, "
	    "unix /run/a (chunk, proxy_protocol accept), "
	    "unix-seqpacket /run/b; stamps %H:%M, UTC, of the arrival; "
	    "metrics at 127.0.0.1:9\n" },
	{ "http: { path = \"/run/c\"; };",
	    "conf: OK: tcp *:21567 (chunk), udp *:21567; stamps ctime, "
	    "local; metrics at /run/c\n" },
	{ "http: { address = \"::1\"; port = 9; };",
	    "conf: OK: tcp *:21567 (chunk), udp *:21567; stamps ctime, "
	    "local; metrics at [::1]:9\n" },
};

START_TEST(a_good_file_is_summed_up)
{
	static const char *const arguments[] = { "-tc", "conf", NULL };
	struct daemon daemon;

	scratch_write("conf", good[_i].config);
	ck_assert_int_eq(daemon_run(&daemon, arguments), 0);
	ck_assert_str_eq(daemon.log, good[_i].summary);
	free(daemon.log);
}
END_TEST

Suite *
errors_suite(void)
{
	Suite *suite = suite_create("errors");
	TCase *here = tcase_create("here");
	TCase *tests = tcase_create("scratch");

	/* A server for each of many files, perhaps under a wrapper. */
	tcase_set_timeout(here, 300);
	tcase_add_test(here, every_wrong_file_is_explained);
	suite_add_tcase(suite, here);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_test(tests, a_log_has_no_pictures);
	tcase_add_test(tests, a_reload_logs_a_line_for_each);
	tcase_add_loop_test(tests, a_good_file_is_summed_up, 0,
	    sizeof(good) / sizeof(good[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
