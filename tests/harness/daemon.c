#include "daemon.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "scratch.h"

#define ARGUMENTS_MAX 64
#define PASSED_MAX 1024

static struct {
	int fds[PASSED_MAX];
	char *names[PASSED_MAX];
	size_t count;
} passed;

void
daemon_pass(const int *fds, char *const *names, size_t count)
{
	ck_assert_uint_le(count, PASSED_MAX);
	for (size_t i = 0; i < count; i++) {
		passed.fds[i] = fds[i];
		passed.names[i] = names[i];
	}
	passed.count = count;
}

/* Variables of the child; the child itself knows its process id. */
static struct {
	char fds[32], names[16384], pid[32];
} variables;

/* The parent calls it before the fork. */
static void
set_variables(void)
{
	int len = snprintf(variables.names, sizeof(variables.names),
	    "LISTEN_FDNAMES=");

	for (size_t i = 0; i < passed.count; i++)
		len += snprintf(variables.names + len,
		    sizeof(variables.names) - (size_t)len, "%s%s",
		    i > 0 ? ":" : "", passed.names[i]);
	snprintf(variables.fds, sizeof(variables.fds), "LISTEN_FDS=%zu",
	    passed.count);
	snprintf(variables.pid, sizeof(variables.pid), "LISTEN_PID=");
	putenv(variables.fds);
	putenv(variables.names);
	putenv(variables.pid);
}

/* The parent calls it after the fork; only the child keeps the descriptors. */
static void
drop_passed(void)
{
	for (size_t i = 0; i < passed.count; i++) {
		close(passed.fds[i]);
		free(passed.names[i]);
	}
	if (passed.count > 0) {
		unsetenv("LISTEN_FDS");
		unsetenv("LISTEN_FDNAMES");
		unsetenv("LISTEN_PID");
	}
	passed.count = 0;
}

/* The child calls it: moves the descriptors to 3 and up. */
static void
pass_fds(void)
{
	int first = STDERR_FILENO + 1, count = (int)passed.count;
	int fds[PASSED_MAX];

	/* Move them above the final numbers first: dup2 must not overwrite one. */
	for (int i = 0; i < count; i++)
		fds[i] = fcntl(passed.fds[i], F_DUPFD_CLOEXEC, first + count);
	for (int i = 0; i < count; i++)
		dup2(fds[i], first + i);
	snprintf(variables.pid, sizeof(variables.pid), "LISTEN_PID=%d",
	    getpid());
}

/* Executes the wrapper's words, the binary and the arguments. */
static void
run_program(const char *const *arguments)
{
	char *command[ARGUMENTS_MAX];
	const char *wrapper = getenv("TIMESTAMPD_WRAPPER");
	char words[4096];
	int count = 0;

	snprintf(words, sizeof(words), "%s", wrapper != NULL ? wrapper : "");

	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		command[count++] = word;
	command[count++] = getenv("TIMESTAMPD");
	while (*arguments != NULL && count < ARGUMENTS_MAX - 1)
		command[count++] = (char *)*arguments++;
	command[count] = NULL;
	execvp(command[0], command);
	perror(command[0]);
	_exit(127);
}

/* Whether only a crash, a sanitizer or valgrind ends a server in this way. */
static bool
is_crash(const siginfo_t *end)
{
	if (end->si_code == CLD_EXITED)
		return end->si_status == 1 || end->si_status == 66 ||
		       end->si_status == 99;
	return end->si_status == SIGABRT || end->si_status == SIGBUS ||
	       end->si_status == SIGFPE || end->si_status == SIGILL ||
	       end->si_status == SIGSEGV;
}

/* A server, and a descriptor of its log that belongs to the watcher. */
struct watched {
	pid_t pid;
	int log_fd;
};

/*
 * Ends the test when the server has crashed, and shows the end of its log: else
 * the test might wait for a reply in vain.  Leaves the process to daemon_wait.
 */
static void *
watch_for_crash(void *arg)
{
	struct watched *watched = arg;
	siginfo_t end;
	char piece[4096];
	ssize_t n;

	if (waitid(P_PID, (id_t)watched->pid, &end, WEXITED | WNOWAIT) == 0 &&
	    is_crash(&end)) {
		fprintf(stderr, "the server has crashed (%d):\n",
		    end.si_status);
		while ((n = read(watched->log_fd, piece, sizeof(piece))) > 0)
			fwrite(piece, 1, (size_t)n, stderr);
		_exit(EXIT_FAILURE);
	}
	close(watched->log_fd);
	free(watched);
	return NULL;
}

static void
watch(const struct daemon *daemon)
{
	struct watched *watched = malloc(sizeof(*watched));
	pthread_t thread;

	watched->pid = daemon->pid;
	watched->log_fd = fcntl(daemon->log_fd, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, watch_for_crash,
			     watched),
	    0);
	pthread_detach(thread);
}

static bool needs_terminal; /* the next one */

void
daemon_use_terminal(void)
{
	needs_terminal = true;
}

void
daemon_type(const struct daemon *daemon, const char *text)
{
	ssize_t len = (ssize_t)strlen(text);

	ck_assert_int_eq(write(daemon->log_fd, text, (size_t)len), len);
}

static void
open_terminal(int ends[2])
{
	struct termios mode;

	ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(grantpt(ends[0]), 0);
	ck_assert_int_eq(unlockpt(ends[0]), 0);
	ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_eq(tcgetattr(ends[1], &mode), 0);
	mode.c_lflag &= ~(tcflag_t)ECHO;
	mode.c_oflag &= ~(tcflag_t)OPOST;
	ck_assert_int_eq(tcsetattr(ends[1], TCSANOW, &mode), 0);
}

/* The child calls it. */
static void
enter_terminal(int fd)
{
	setsid();
	ioctl(fd, TIOCSCTTY, 0);
	dup2(fd, STDIN_FILENO);
}

void
daemon_spawn(struct daemon *daemon, const char *const *arguments)
{
	int ends[2];
	sigset_t none;

	memset(daemon, 0, sizeof(*daemon));
	ck_assert_ptr_nonnull(getenv("TIMESTAMPD"));
	if (needs_terminal) {
		open_terminal(ends);
	} else {
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
	}
	daemon->log = calloc(1, 1);
	daemon->log_fd = ends[0];
	if (passed.count > 0)
		set_variables();
	/* The child allocates nothing: the watcher of another server might have
	 * been doing so, and gcc's AddressSanitizer would wait for it for ever. */
	daemon->pid = fork();
	if (daemon->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		if (needs_terminal)
			enter_terminal(ends[1]);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		if (passed.count > 0)
			pass_fds();
		run_program(arguments);
	}
	ck_assert_int_ne(daemon->pid, -1);
	close(ends[1]);
	needs_terminal = false;
	drop_passed();
	watch(daemon);
}

/* Reads and appends to the log; returns 0 at its end. */
static ssize_t
read_log(struct daemon *daemon)
{
	char piece[65536];
	ssize_t n = read(daemon->log_fd, piece, sizeof(piece));

	/* So ends a terminal that nobody has open any more. */
	if (n == -1 && errno == EIO)
		n = 0;
	ck_assert_int_ne(n, -1);
	daemon->log = realloc(daemon->log, daemon->log_len + (size_t)n + 1);
	memcpy(daemon->log + daemon->log_len, piece, (size_t)n);
	daemon->log_len += (size_t)n;
	daemon->log[daemon->log_len] = '\0';
	return n;
}

void
daemon_await(struct daemon *daemon, const char *text)
{
	const char *found;

	while ((found = strstr(daemon->log + daemon->log_seen, text)) == NULL)
		ck_assert_msg(read_log(daemon) > 0, "no '%s' in its log:\n%s",
		    text, daemon->log);
	daemon->log_seen = (size_t)(found - daemon->log) + strlen(text);
}

void
daemon_catch_up(struct daemon *daemon)
{
	struct pollfd log = { .fd = daemon->log_fd, .events = POLLIN };

	while (poll(&log, 1, 0) == 1 && read_log(daemon) > 0)
		;
}

void
daemon_start(struct daemon *daemon, const char *const *arguments)
{
	daemon_spawn(daemon, arguments);
	daemon_await(daemon, "ready: ");
}

void
daemon_start_config(struct daemon *daemon, const char *config)
{
	const char *const arguments[] = { "-c", "conf", NULL };

	scratch_write("conf", config);
	daemon_start(daemon, arguments);
}

int
daemon_run(struct daemon *daemon, const char *const *arguments)
{
	daemon_spawn(daemon, arguments);
	return daemon_wait(daemon);
}

int
daemon_port(const struct daemon *daemon, const char *name)
{
	char start[128];
	const char *found;

	snprintf(start, sizeof(start), "listening on %s:", name);
	found = strstr(daemon->log, start);
	ck_assert_msg(found != NULL, "no '%s' in its log:\n%s", start,
	    daemon->log);
	return atoi(found + strlen(start));
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

bool
daemon_is_wrapped(void)
{
	const char *wrapper = getenv("TIMESTAMPD_WRAPPER");

	return wrapper != NULL && *wrapper != '\0';
}

bool
daemon_is_bare(void)
{
#ifdef SANITIZED
	return false;
#else
	return !daemon_is_wrapped();
#endif
}

void
daemon_signal(const struct daemon *daemon, int signal_number)
{
	ck_assert_int_eq(kill(daemon->pid, signal_number), 0);
}

void
daemon_reload(struct daemon *daemon, const char *config, const char *text)
{
	scratch_write("conf", config);
	daemon_signal(daemon, SIGHUP);
	daemon_await(daemon, text);
}

unsigned long long
daemon_counter(struct daemon *daemon, const char *name)
{
	char start[64];

	daemon_signal(daemon, SIGUSR1);
	daemon_await(daemon, "counters: ");
	size_t at = daemon->log_seen;
	daemon_await(daemon, "\n");
	snprintf(start, sizeof(start), " %s=", name);
	const char *found = strstr(daemon->log + at - 1, start);
	if (found == NULL || found > daemon->log + daemon->log_seen)
		return 0;
	return strtoull(found + strlen(start), NULL, 10);
}

void
daemon_await_counter(struct daemon *daemon, const char *name,
    unsigned long long value)
{
	while (daemon_counter(daemon, name) != value)
		;
}

int
daemon_log_lines(const struct daemon *daemon)
{
	const char *at = strstr(daemon->log, "ready: ");
	int lines = 0;

	while ((at = strchr(at, '\n')) != NULL && *++at != '\0') {
		const char *counters = strstr(at, "counters: ");
		if (counters == NULL || counters > strchrnul(at, '\n'))
			lines++;
	}
	return lines;
}

static long
proc_number(const struct daemon *daemon, const char *file, const char *start)
{
	char path[64], line[256];
	long number = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", daemon->pid, file);
	FILE *stream = fopen(path, "r");
	ck_assert_ptr_nonnull(stream);
	while (fgets(line, sizeof(line), stream) != NULL)
		if (strncmp(line, start, strlen(start)) == 0)
			number += atol(line + strlen(start));
	fclose(stream);
	return number;
}

long
daemon_status(const struct daemon *daemon, const char *name)
{
	return proc_number(daemon, "status", name);
}

long
daemon_private_memory(const struct daemon *daemon)
{
	return proc_number(daemon, "smaps_rollup", "Private_Dirty:");
}

int
daemon_open_files(const struct daemon *daemon)
{
	char path[64];
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", daemon->pid);
	DIR *folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count - 2; /* "." and ".." */
}

long
daemon_cpu_ticks(const struct daemon *daemon)
{
	char path[64], line[1024] = "";
	long user, system;

	snprintf(path, sizeof(path), "/proc/%d/stat", daemon->pid);
	FILE *stream = fopen(path, "r");
	ck_assert_ptr_nonnull(stream);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), stream));
	fclose(stream);
	ck_assert_int_eq(sscanf(strrchr(line, ')'),
			     ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			     "%ld %ld",
			     &user, &system),
	    2);
	return user + system;
}

void
daemon_pause(const struct daemon *daemon)
{
	int status;

	daemon_signal(daemon, SIGSTOP);
	ck_assert_int_eq(waitpid(daemon->pid, &status, WUNTRACED), daemon->pid);
	ck_assert(WIFSTOPPED(status));
}

int
daemon_wait(struct daemon *daemon)
{
	int status;

	while (read_log(daemon) > 0)
		;
	close(daemon->log_fd);
	ck_assert_int_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
daemon_finish_saying(struct daemon *daemon, const char *text)
{
	int status = daemon_wait(daemon);

	ck_assert_msg(status == 0, "ended with %d:\n%s", status, daemon->log);
	ck_assert_msg(strstr(daemon->log, text) != NULL,
	    "no '%s' in its log:\n%s", text, daemon->log);
	free(daemon->log);
}

void
daemon_finish(struct daemon *daemon)
{
	daemon_finish_saying(daemon, "");
}

void
daemon_stop(struct daemon *daemon)
{
	daemon_signal(daemon, SIGTERM);
	daemon_finish(daemon);
}
