#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <syslog.h>

/*
 * Lines with a level on standard error; those of several threads never mix.  If
 * standard error goes to the journal, entries with fields are sent there
 * instead.  A line that nobody takes, see base/sink.h, is dropped; in front of
 * the next one that is taken another line says how many were.
 * Levels are the priorities of syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO and
 * LOG_DEBUG.  Every function may be called from any thread.
 */

/*
 * Finds out whether standard error goes to the journal, which adds the time
 * itself, or to a terminal.  Call it before there are other threads.
 */
void log_open(void);

/*
 * On a terminal lines are for a person who watches: short, in columns, with
 * colours unless NO_COLOR or TERM forbids them.
 */
enum log_terminal {
	LOG_TERMINAL_NONE, /* standard error is something else */
	LOG_TERMINAL_ASCII,
	LOG_TERMINAL_UTF8, /* it shows UTF-8, as the locale says */
};
enum log_terminal log_terminal(void);

/* From now on drops lines above level. */
void log_set_level(int level);

/* Whether a line of level is shown: for messages that are costly to build. */
bool log_enabled(int level);

/* The level called name; -1 when there is none. */
int log_level_parse(const char *name);

/* MESSAGE_ID= of the events that an administrator may search for. */
#define LOG_ID_START "671ca18f64af4be6ae23368650b6fbb8"
#define LOG_ID_STOP "a5b2358e22434d8399fbeb761e4c3d03"
#define LOG_ID_RELOAD "4ca8d929f4ce4a79b61c3d03404a9394"
#define LOG_ID_RELOAD_REFUSED "92cd290fe4864cd98d64e6b24bca8fcc"
#define LOG_ID_ACCEPT_PAUSED "325f1d168d184f55ab9381ca8413c477"
#define LOG_ID_WATCHDOG "0836eec5fa674dec83764bc89c81ece7"

/*
 * Values of the journal fields TIMESTAMPD_LISTENER=, TIMESTAMPD_PEER= and
 * MESSAGE_ID= of a line; NULL leaves the field out.
 */
struct log_about {
	const char *listener, *peer, *message_id;
};

/* about may be NULL.  Keeps errno. */
void log_about(int level, const struct log_about *about, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

#define log_error(...) log_about(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_about(LOG_WARNING, NULL, __VA_ARGS__)
/* The answer to a request: shown at every level, as info. */
#define log_notice(...) log_about(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_DEBUG, NULL, __VA_ARGS__)

#endif
