#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/suites.h"

/* What the lines that write() makes look like, standard error caught. */
static char *
caught(void (*write_lines)(void))
{
	static char text[8192];
	int ends[2], standard_error = dup(STDERR_FILENO);

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	write_lines();
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	size_t len = 0;
	ssize_t n;
	while ((n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(ends[0]);
	return text;
}

static void
write_all_levels(void)
{
	log_set_level(LOG_INFO);
	log_error("e %d", 1);
	log_debug("d");
	log_info("i");
	log_set_level(LOG_ERR);
	log_warning("w");
	log_info("i2");
	log_notice("n");
}

START_TEST(levels_filter)
{
	regex_t pattern;
	const char *text = caught(write_all_levels);

#define DATE "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\\.[0-9]{3} "
	ck_assert_int_eq(regcomp(&pattern,
			     "^" DATE "error: e 1\n" DATE "info: i\n" DATE
			     "info: n\n$",
			     REG_EXTENDED | REG_NOSUB),
	    0);
	ck_assert_msg(regexec(&pattern, text, 0, NULL, 0) == 0, "%s", text);
	regfree(&pattern);
}
END_TEST

static void
write_long_line(void)
{
	char message[5000];

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	log_error("%s", message);
}

START_TEST(a_long_line_is_cut_and_ends)
{
	const char *text = caught(write_long_line);

	ck_assert_uint_lt(strlen(text), 4096);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

static void
write_control_characters(void)
{
	log_error("%s", "a\nerror: \x1b[2J\xff");
}

START_TEST(control_characters_are_escaped)
{
	const char *text = caught(write_control_characters);

	ck_assert_str_eq(strstr(text, "error: "),
	    "error: a\\x0aerror: \\x1b[2J\\xff\n");
}
END_TEST

START_TEST(levels_are_parsed)
{
	ck_assert_int_eq(log_level_parse("error"), LOG_ERR);
	ck_assert_int_eq(log_level_parse("warning"), LOG_WARNING);
	ck_assert_int_eq(log_level_parse("info"), LOG_INFO);
	ck_assert_int_eq(log_level_parse("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_parse("INFO"), -1);
}
END_TEST

#define THREADS 4
#define LINES 2000 /* of each thread; together they fit nowhere */

static int ends[2]; /* to read, and standard error */

/* Standard error is an end of it. */
static void
open_log(void)
{
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	log_open();
	log_set_level(LOG_INFO);
}

static void *
write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("a line that nobody reads, one of too many");
	return arg;
}

static void
write_too_many(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines,
				     NULL),
		    0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* What there is to read: a datagram, or a piece. */
static const char *
read_some(int fd)
{
	static char text[65536];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n == -1 && errno == ENOTSOCK)
		n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned long
count(const char *text, const char *what)
{
	unsigned long found = 0;

	while ((text = strstr(text, what)) != NULL) {
		text += strlen(what);
		found++;
	}
	return found;
}

/* How many pieces of what can be read. */
static unsigned long
count_all(int fd, const char *what)
{
	unsigned long found = 0;
	const char *text;

	while (*(text = read_some(fd)) != '\0')
		found += count(text, what);
	return found;
}

START_TEST(lines_that_nobody_reads_are_counted)
{
	char expected[64];

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	ck_assert_int_eq(fcntl(ends[1], F_SETFL, 0), 0);
	open_log();
	write_too_many();
	unsigned long read = count_all(ends[0], "\n");
	ck_assert_uint_gt(read, 100);
	log_error("after");
	const char *text = read_some(ends[0]);
	snprintf(expected, sizeof(expected),
	    " warning: %lu lines of this log could not be written\n",
	    THREADS * LINES - read);
	ck_assert_msg(strstr(text, expected) != NULL, "no %s in: %s", expected,
	    text);
	ck_assert_ptr_nonnull(strstr(text, " error: after\n"));
	log_error("last");
	text = read_some(ends[0]);
	ck_assert_uint_eq(count(text, "\n"), 1);
	ck_assert_ptr_nonnull(strstr(text, " error: last\n"));
}
END_TEST

START_TEST(a_line_that_cannot_be_written_is_counted)
{
	int full = open("/dev/full", O_WRONLY);

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	dup2(full, STDERR_FILENO);
	errno = ENOENT;
	log_error("lost");
	ck_assert_int_eq(errno, ENOENT);
	dup2(ends[1], STDERR_FILENO);
	log_error("after");
	const char *text = read_some(ends[0]);
	ck_assert_ptr_nonnull(strstr(text,
	    " warning: 1 line of this log could not be written\n"));
	ck_assert_ptr_nonnull(strstr(text, " error: after\n"));
}
END_TEST

static const struct sockaddr_un journal_name = { AF_UNIX,
	"/run/systemd/journal/socket" };

/* A journal of the test's own, in a place where no other process sees it. */
static int
make_journal(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	unlink(journal_name.sun_path);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&journal_name,
			     sizeof(journal_name)),
	    0);
	return fd;
}

/* Opens the log as a service does; -1: this machine does not let the test. */
static int
open_journal(void)
{
	struct stat status;
	char stream[64];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", "/run", "tmpfs", 0, NULL) == -1) {
		puts("skipped: only root can mount a journal of its own");
		return -1;
	}
	ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
	ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
	int journal = make_journal();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	ck_assert_int_eq(fstat(ends[1], &status), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	open_log();
	return journal;
}

START_TEST(an_entry_has_fields)
{
	struct log_about about = { "tcp *:7", "\n\x1b[2J", LOG_ID_START };
	int journal = open_journal();
	char expected[512];

	if (journal == -1)
		return;
	log_about(LOG_WARNING, &about, "hello %d", 1);
	snprintf(expected, sizeof(expected),
	    "MESSAGE=hello 1\nPRIORITY=4\nSYSLOG_IDENTIFIER=%s\n"
	    "TIMESTAMPD_LISTENER=tcp *:7\nTIMESTAMPD_PEER=\\x0a\\x1b[2J\n"
	    "MESSAGE_ID=" LOG_ID_START "\n",
	    program_invocation_short_name);
	ck_assert_str_eq(read_some(journal), expected);
	ck_assert_str_eq(read_some(ends[0]), "");
	close(journal);
}
END_TEST

START_TEST(a_journal_that_reads_nothing_stops_nobody)
{
	char expected[64];
	int journal = open_journal();

	if (journal == -1)
		return;
	write_too_many();
	unsigned long read = count_all(journal, "MESSAGE=a line") +
	                     count_all(ends[0], "<6>a line");
	ck_assert_uint_gt(read, 10);
	log_error("after");
	snprintf(expected, sizeof(expected),
	    "MESSAGE=%lu lines of this log could not be written\n",
	    THREADS * LINES - read);
	const char *text = read_some(journal);
	ck_assert_msg(strstr(text, expected) != NULL, "no %s in: %s", expected,
	    text);
	ck_assert_ptr_nonnull(strstr(read_some(journal), "MESSAGE=after\n"));
	close(journal);
}
END_TEST

START_TEST(another_socket_of_the_journal_is_found)
{
	int journal = open_journal();

	if (journal == -1)
		return;
	close(journal);
	log_error("one");
	log_error("two");
	ck_assert_str_eq(read_some(ends[0]), "<3>one\n<3>two\n");
	journal = make_journal();
	log_error("three");
	ck_assert_ptr_nonnull(strstr(read_some(journal), "MESSAGE=three\n"));
	close(journal);
	journal = make_journal();
	log_error("four");
	ck_assert_ptr_nonnull(strstr(read_some(journal), "MESSAGE=four\n"));
	ck_assert_str_eq(read_some(ends[0]), "");
	close(journal);
}
END_TEST

Suite *
log_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, levels_filter);
	tcase_add_test(tests, a_long_line_is_cut_and_ends);
	tcase_add_test(tests, control_characters_are_escaped);
	tcase_add_test(tests, levels_are_parsed);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, lines_that_nobody_reads_are_counted);
	tcase_add_test(tests, a_line_that_cannot_be_written_is_counted);
	tcase_add_test(tests, an_entry_has_fields);
	tcase_add_test(tests, a_journal_that_reads_nothing_stops_nobody);
	tcase_add_test(tests, another_socket_of_the_journal_is_found);
	suite_add_tcase(suite, tests);
	return suite;
}
