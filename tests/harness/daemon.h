#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * The real server as a child process, which dies with the test.  The variables
 * TIMESTAMPD and TIMESTAMPD_WRAPPER name the program and a program to run it
 * under.  If a function fails, or the server crashes, the test fails.
 */
struct daemon {
	pid_t pid;
	int log_fd;
	char *log; /* its output so far, ends with 0; freed by daemon_finish */
	size_t log_len, log_seen; /* seen: where daemon_await continues */
};

/*
 * Whether it is neither instrumented nor wrapped, so that its memory and time
 * can be measured.
 */
bool daemon_is_bare(void);

/*
 * Whether the daemon runs under a wrapper.  strace inherits what is passed to
 * the daemon, and keeps a socket open that the daemon has closed.
 */
bool daemon_is_wrapped(void);

/*
 * Passes count descriptors to the next daemon, as sd_listen_fds(3) expects.
 * Becomes the owner of the descriptors and of the names, from malloc(3).
 */
void daemon_pass(const int *fds, char *const *names, size_t count);

/*
 * Gives the next daemon a terminal, which controls it, instead of a pipe.  The
 * terminal echoes nothing and leaves newlines as they are.
 */
void daemon_use_terminal(void);

/* Types text there: "\003" is Ctrl-C. */
void daemon_type(const struct daemon *daemon, const char *text);

/* Starts it.  arguments end with NULL. */
void daemon_spawn(struct daemon *daemon, const char *const *arguments);

/* Starts it and waits until it is ready. */
void daemon_start(struct daemon *daemon, const char *const *arguments);

/* The same with config, written to "conf" in the scratch folder. */
void daemon_start_config(struct daemon *daemon, const char *config);

/* Runs it to its end; returns what daemon_wait does. */
int daemon_run(struct daemon *daemon, const char *const *arguments);

/* Waits for text in the log, after the text last awaited. */
void daemon_await(struct daemon *daemon, const char *text);

/* Reads what is there of the log, and does not wait for more. */
void daemon_catch_up(struct daemon *daemon);

/* Returns the port in the line "listening on NAME:PORT"; name: "tcp *" e.g. */
int daemon_port(const struct daemon *daemon, const char *name);

/* Overwrites "conf", sends SIGHUP and waits for text in the log. */
void daemon_reload(struct daemon *daemon, const char *config, const char *text);

/* Asks for the counters with SIGUSR1; returns the value of one. */
unsigned long long daemon_counter(struct daemon *daemon, const char *name);

/* Asks until the counter has this value. */
void daemon_await_counter(struct daemon *daemon, const char *name,
    unsigned long long value);

/* Returns the number of log lines since it was ready, without the counters. */
int daemon_log_lines(const struct daemon *daemon);

/* The number in a line of /proc/PID/status; memory is in KiB. */
long daemon_status(const struct daemon *daemon, const char *name);

/*
 * Private dirty memory, in KiB.  Without clean pages: whether those of a
 * library are private depends on the other processes.
 */
long daemon_private_memory(const struct daemon *daemon);

/* The number of its open file descriptors. */
int daemon_open_files(const struct daemon *daemon);

/* CPU time used, in clock ticks. */
long daemon_cpu_ticks(const struct daemon *daemon);

void daemon_signal(const struct daemon *daemon, int signal_number);

/* Sends SIGSTOP and waits until the process has stopped. */
void daemon_pause(const struct daemon *daemon);

/* Waits for its end; returns the exit status, or 128 + the signal. */
int daemon_wait(struct daemon *daemon);

/* Waits for its end, asserts that its status is 0, and frees the log. */
void daemon_finish(struct daemon *daemon);

/* The same, and asserts that the log has text. */
void daemon_finish_saying(struct daemon *daemon, const char *text);

/* Sends SIGTERM; then as daemon_finish. */
void daemon_stop(struct daemon *daemon);

#endif
