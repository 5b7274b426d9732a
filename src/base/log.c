#include "base/log.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/message.h"
#include "base/sink.h"

#define MESSAGE_MAX 2048
#define FIELD_MAX 512
#define ENTRY_MAX (MESSAGE_MAX + 4 * FIELD_MAX)

static const char *const names[] = {
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static _Atomic int current_level = LOG_INFO;
static bool to_journal;  /* standard error goes to the journal */
static bool with_fields; /* and the journal's own socket takes entries */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the next three */
static struct sink standard_error = { .fd = STDERR_FILENO }, journal;
static unsigned long dropped; /* lines, since the last one that was written */

static enum log_terminal terminal;
static bool has_colours;

/* Of a level on a terminal, and of the time. */
static const char *const colours[] = {
	[LOG_ERR] = "\x1b[1;31m",
	[LOG_WARNING] = "\x1b[33m",
	[LOG_INFO] = "\x1b[32m",
	[LOG_DEBUG] = "\x1b[36m",
};
#define COLOUR_TIME "\x1b[2m"
#define COLOUR_NONE "\x1b[0m"

void
log_set_level(int level)
{
	atomic_store_explicit(&current_level, level, memory_order_relaxed);
}

bool
log_enabled(int level)
{
	return level <=
	       atomic_load_explicit(&current_level, memory_order_relaxed);
}

int
log_level_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] != NULL && strcmp(name, names[i]) == 0)
			return (int)i;
	return -1;
}

static bool
is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", NULL);

	if (locale == NULL)
		return false;
	bool result = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return result;
}

static void
open_terminal(void)
{
	const char *type = getenv("TERM"), *none = getenv("NO_COLOR");

	if (!isatty(STDERR_FILENO))
		return;
	terminal = is_utf8() ? LOG_TERMINAL_UTF8 : LOG_TERMINAL_ASCII;
	has_colours = type != NULL && strcmp(type, "dumb") != 0 &&
	              (none == NULL || *none == '\0');
}

enum log_terminal
log_terminal(void)
{
	return terminal;
}

static bool
reach_journal(void)
{
	static const struct sockaddr_un name = { .sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket" };

	return connect(journal.fd, (const struct sockaddr *)&name,
		   sizeof(name)) == 0;
}

static bool
open_journal(void)
{
	int room = 8 << 20, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return false;
	/* As much as there may be: entries wait while the journal restarts. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	sink_open(&journal, fd);
	if (reach_journal())
		return true;
	close(fd);
	return false;
}

void
log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat status;

	open_terminal();
	sink_open(&standard_error, STDERR_FILENO);
	if (stream == NULL || fstat(STDERR_FILENO, &status) == -1)
		return;
	snprintf(own, sizeof(own), "%llu:%llu",
	    (unsigned long long)status.st_dev,
	    (unsigned long long)status.st_ino);
	to_journal = strcmp(stream, own) == 0;
	with_fields = to_journal && open_journal();
}

/* The columns in front of a message on a terminal. */
static size_t
put_columns(char *line, size_t size, int level, const struct timespec *now,
    const struct tm *tm)
{
	return (size_t)snprintf(line, size,
	    "%s%02d:%02d:%02d.%03ld%s %s%-7s%s ",
	    has_colours ? COLOUR_TIME : "", tm->tm_hour, tm->tm_min, tm->tm_sec,
	    now->tv_nsec / 1000000, has_colours ? COLOUR_NONE : "",
	    has_colours ? colours[level] : "", names[level],
	    has_colours ? COLOUR_NONE : "");
}

/* The journal adds the time and reads the priority from the start of a line. */
static size_t
put_head(char *line, size_t size, int level)
{
	struct timespec now;
	struct tm tm;

	if (to_journal)
		return (size_t)snprintf(line, size, "<%d>", level);
	clock_gettime(CLOCK_REALTIME, &now);
	clock_lock_zone();
	localtime_r(&now.tv_sec, &tm);
	clock_unlock_zone();
	if (terminal != LOG_TERMINAL_NONE)
		return put_columns(line, size, level, &now, &tm);
	/* strftime(3) would read TZ, whose value a reload may be changing. */
	return (size_t)snprintf(line, size,
	    "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s: ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    now.tv_nsec / 1000000, names[level]);
}

static bool
write_line(int level, const char *message)
{
	char line[MESSAGE_MAX + 64];
	size_t room = sizeof(line) - 1;
	size_t len = put_head(line, room, level);
	int n = snprintf(line + len, room - len, "%s", message);

	len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	line[len++] = '\n';
	return sink_write(&standard_error, line, len);
}

/* Adds "NAME=text" to an entry; text may have bytes of a client's name. */
static size_t
put_field(char *entry, size_t len, const char *name, const char *text)
{
	char shown[FIELD_MAX - 32];

	if (text == NULL)
		return len;
	message_escape(shown, sizeof(shown), text);
	return len + (size_t)snprintf(entry + len, ENTRY_MAX - len, "%s=%s\n",
			 name, shown);
}

/* In the journal's native protocol; false if the journal does not take it. */
static bool
send_entry(int priority, const char *message, const struct log_about *about)
{
	char entry[ENTRY_MAX];
	size_t len = (size_t)snprintf(entry, sizeof(entry),
	    "MESSAGE=%s\nPRIORITY=%d\n", message, priority);

	len = put_field(entry, len, "SYSLOG_IDENTIFIER",
	    program_invocation_short_name);
	len = put_field(entry, len, "TIMESTAMPD_LISTENER", about->listener);
	len = put_field(entry, len, "TIMESTAMPD_PEER", about->peer);
	len = put_field(entry, len, "MESSAGE_ID", about->message_id);
	if (sink_write(&journal, entry, len))
		return true;
	/* The socket of before is gone; there may be another one. */
	return errno != EAGAIN && reach_journal() &&
	       sink_write(&journal, entry, len);
}

static bool
put(int level, const char *message, const struct log_about *about)
{
	return (with_fields && send_entry(level, message, about)) ||
	       write_line(level, message);
}

/* A line that nobody takes is counted; the next one that is taken says so. */
static void
put_or_count(int level, const char *message, const struct log_about *about)
{
	static const struct log_about nothing;
	char text[96];

	pthread_mutex_lock(&lock);
	if (dropped > 0) {
		snprintf(text, sizeof(text),
		    "%lu line%s of this log could not be written", dropped,
		    dropped == 1 ? "" : "s");
		if (put(LOG_WARNING, text, &nothing))
			dropped = 0;
	}
	if (dropped > 0 || !put(level, message, about ? about : &nothing))
		dropped++;
	pthread_mutex_unlock(&lock);
}

void
log_about(int level, const struct log_about *about, const char *format, ...)
{
	char message[MESSAGE_MAX], shown[MESSAGE_MAX];
	int saved_errno = errno;
	va_list args;

	if (level == LOG_NOTICE)
		level = LOG_INFO;
	else if (!log_enabled(level))
		return;
	va_start(args, format);
	if (vsnprintf(message, sizeof(message), format, args) < 0)
		message[0] = '\0';
	va_end(args);
	if (terminal == LOG_TERMINAL_ASCII)
		message_escape_ascii(shown, sizeof(shown), message);
	else
		message_escape(shown, sizeof(shown), message);
	put_or_count(level, shown, about);
	errno = saved_errno;
}
