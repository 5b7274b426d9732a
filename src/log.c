#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"

#define MESSAGE_MAX 2048

static const char *const names[] = { "error", "warning", "info", "debug" };

static _Atomic int current_level = LOG_INFO;
static bool to_journal;  /* standard error is the journal's */
static bool with_fields; /* and it can be reached directly */

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool
log_enabled(enum log_level level)
{
	return (int)level <=
	       atomic_load_explicit(&current_level, memory_order_relaxed);
}

int
log_level_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -1;
}

/* strftime(3) would read the environment, which a reload may be changing. */
static int
put_time(char *line, size_t size)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	return snprintf(line, size, "%04d-%02d-%02d %02d:%02d:%02d.%03ld ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, now.tv_nsec / 1000000);
}

/* Whether standard error goes to the journal, as sd-daemon(3) has it. */
static bool
is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	char *end;

	if (stream == NULL || fstat(STDERR_FILENO, &status) == -1)
		return false;
	unsigned long long device = strtoull(stream, &end, 10);
	return *end == ':' && device == status.st_dev &&
	       strtoull(end + 1, NULL, 10) == status.st_ino;
}

void
log_open(void)
{
	to_journal = is_journal();
	with_fields = to_journal && journal_is_there();
}

static const int priorities[] = { 3, 4, 6, 7 };

/* A stream to the journal takes the priority from the start of a line. */
static size_t
put_head(char *line, size_t size, enum log_level level)
{
	if (to_journal)
		return (size_t)snprintf(line, size, "<%d>", priorities[level]);
	size_t len = (size_t)put_time(line, size);
	return len +
	       (size_t)snprintf(line + len, size - len, "%s: ", names[level]);
}

static void
write_line(enum log_level level, const char *message)
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

static void
write_log(enum log_level level, const struct log_about *about,
    const char *format, va_list args)
{
	char message[MESSAGE_MAX];
	int saved_errno = errno;

	if (vsnprintf(message, sizeof(message), format, args) < 0)
		message[0] = '\0';
	if (!with_fields ||
	    journal_send(priorities[level], message, about->listener,
		about->peer, about->message_id) == -1)
		write_line(level, message);
	errno = saved_errno;
}

#define DEFINE_LOG(name, level, condition)                                     \
	void name(const char *format, ...)                                     \
	{                                                                      \
		static const struct log_about nothing;                         \
		va_list args;                                                  \
		if (!(condition))                                              \
			return;                                                \
		va_start(args, format);                                        \
		write_log(level, &nothing, format, args);                      \
		va_end(args);                                                  \
	}

DEFINE_LOG(log_error, LOG_ERROR, true)
DEFINE_LOG(log_warning, LOG_WARNING, log_enabled(LOG_WARNING))
DEFINE_LOG(log_notice, LOG_INFO, true)
DEFINE_LOG(log_info, LOG_INFO, log_enabled(LOG_INFO))
DEFINE_LOG(log_debug, LOG_DEBUG, log_enabled(LOG_DEBUG))

void
log_about(enum log_level level, const struct log_about *about,
    const char *format, ...)
{
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	write_log(level, about, format, args);
	va_end(args);
}
