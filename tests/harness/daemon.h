#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The real server as a child process.  TIMESTAMPD in the environment names the
 * binary, TIMESTAMPD_WRAPPER a program to run it under.  It dies with the test.
 */
struct daemon {
	pid_t pid;
	int log_fd;
	char *log; /* what it has written to standard error so far */
	size_t log_len, log_seen;
};

/*
 * Neither instrumented nor wrapped: what memory and time it takes is its own.
 */
bool daemon_is_bare(void);

/*
 * The next daemon started is passed count descriptors, as sd_listen_fds(3) has
 * it; they and the names, from malloc(3), are not the caller's any more.
 */
void daemon_pass(const int *fds, char *const *names, size_t count);

/* Starts it with these arguments; daemon_wait waits for its end. */
void daemon_spawn(struct daemon *daemon, const char *const *arguments);

/* Starts it with these arguments, and waits until it is ready. */
void daemon_start(struct daemon *daemon, const char *const *arguments);

/* The same with the configuration in the file "conf" of the scratch folder. */
void daemon_start_config(struct daemon *daemon, const char *config);

/* Runs it to its end; its exit status, and its output in daemon->log. */
int daemon_run(struct daemon *daemon, const char *const *arguments);

/* Waits for text in what it logs after the last text waited for. */
void daemon_await(struct daemon *daemon, const char *text);

/* The port that a line "listening on NAME:PORT" tells, e.g. of "tcp *". */
int daemon_port(const struct daemon *daemon, const char *name);

/* Writes the file "conf" anew, sends SIGHUP and waits for text in the log. */
void daemon_reload(struct daemon *daemon, const char *config, const char *text);

/* Asks for the counters with SIGUSR1; the value of one. */
unsigned long long daemon_counter(struct daemon *daemon, const char *name);

/* Asks again and again until the counter has this value. */
void daemon_await_counter(struct daemon *daemon, const char *name,
    unsigned long long value);

/* Lines in its log since it was ready, but for counters. */
int daemon_log_lines(const struct daemon *daemon);

/* A line of /proc/PID/status, in KiB or as it is. */
long daemon_status(const struct daemon *daemon, const char *name);

/*
 * Private memory, in KiB: what it has written.  Whether a clean page of a
 * library is private depends on who else runs.
 */
long daemon_private_memory(const struct daemon *daemon);

/* How many file descriptors it has. */
int daemon_open_files(const struct daemon *daemon);

/* CPU time used, in clock ticks. */
long daemon_cpu_ticks(const struct daemon *daemon);

void daemon_signal(const struct daemon *daemon, int signal_number);

/* Stops the process with SIGSTOP, and waits until it stands still. */
void daemon_pause(const struct daemon *daemon);

/* Waits for its end; the exit status, or 128 and the signal that killed it. */
int daemon_wait(struct daemon *daemon);

/* SIGTERM, and asserts that it ends with status 0. */
void daemon_stop(struct daemon *daemon);

#endif
