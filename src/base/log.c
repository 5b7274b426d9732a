#include "base/log.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/message.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define MESSAGE_MAX 2048
#define FIELD_MAX 512

static const char *const names[] = {
	[LOG_ERR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static _Atomic int current_level = LOG_INFO;
static bool to_journal;  /* standard error goes to the journal */
static bool with_fields; /* and the journal's own socket takes entries */
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

void
log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat status;

	open_terminal();
	if (stream == NULL || fstat(STDERR_FILENO, &status) == -1)
		return;
	snprintf(own, sizeof(own), "%llu:%llu",
	    (unsigned long long)status.st_dev,
	    (unsigned long long)status.st_ino);
	to_journal = strcmp(stream, own) == 0;
	with_fields = to_journal && access(JOURNAL_SOCKET, W_OK) == 0;
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
	localtime_r(&now.tv_sec, &tm);
	if (terminal != LOG_TERMINAL_NONE)
		return put_columns(line, size, level, &now, &tm);
	/* strftime(3) would read TZ, whose value a reload may be changing. */
	return (size_t)snprintf(line, size,
	    "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s: ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    now.tv_nsec / 1000000, names[level]);
}

static void
write_line(int level, const char *message)
{
	char line[MESSAGE_MAX + 64];
	size_t room = sizeof(line) - 1;
	size_t len = put_head(line, room, level);
	int n = snprintf(line + len, room - len, "%s", message);

	len = (size_t)n < room - len ? len + (size_t)n : room - 1;
	line[len++] = '\n';
	while (write(STDERR_FILENO, line, len) == -1 && errno == EINTR)
		;
}

/* "NAME=text" as a piece of an entry; empty without text. */
static struct iovec
field(char *buffer, size_t size, const char *name, const char *text)
{
	if (text == NULL)
		return (struct iovec){ buffer, 0 };
	size_t len = (size_t)snprintf(buffer, size, "%s=%s", name, text);
	return (struct iovec){ buffer, len < size ? len : size - 1 };
}

/* -1 if the journal does not accept the entry. */
static int
send_entry(int priority, const char *message, const struct log_about *about)
{
	char number[4], texts[4][FIELD_MAX], line[MESSAGE_MAX + 16];
	int count = 0;

	snprintf(number, sizeof(number), "%d", priority);
	struct iovec pieces[] = {
		field(line, sizeof(line), "MESSAGE", message),
		field(texts[0], FIELD_MAX, "PRIORITY", number),
		field(texts[1], FIELD_MAX, "TIMESTAMPD_LISTENER",
		    about->listener),
		field(texts[2], FIELD_MAX, "TIMESTAMPD_PEER", about->peer),
		field(texts[3], FIELD_MAX, "MESSAGE_ID", about->message_id),
	};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (pieces[i].iov_len > 0)
			pieces[count++] = pieces[i];
	return sd_journal_sendv(pieces, count) == 0 ? 0 : -1;
}

void
log_about(int level, const struct log_about *about, const char *format, ...)
{
	static const struct log_about nothing;
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
	if (!with_fields ||
	    send_entry(level, shown, about ? about : &nothing) == -1)
		write_line(level, shown);
	errno = saved_errno;
}
