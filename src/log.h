#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

/*
 * Levelled lines on standard error, one write(2) each, so that lines of several
 * threads never mix.  Every function may be called from any thread.
 */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/*
 * Finds out whether standard error is the journal's, which wants lines with a
 * priority and without a time.  Before there are other threads.
 */
void log_open(void);

/* Lines above level are dropped from now on. */
void log_set_level(enum log_level level);

/* For callers whose message costs something to put together. */
bool log_enabled(enum log_level level);

/* The level that a name stands for; -1 when it stands for none. */
int log_level_parse(const char *name);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* At any level: what somebody has asked for.  Shown as info. */
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
