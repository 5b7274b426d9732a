#include "manager.h"

#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KEPT_MAX 1024
#define BATCH_MAX 253
#define MESSAGES_MAX 1024
#define MARK "X_MARK=1" /* a message from the test itself */

/* Written by the receiving thread and by the test, under the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t heard;
	int fd;
	size_t size, count, message_count, seen, marks;
	const char *refused; /* a name; NULL: none */
	bool is_probed;      /* with that name */
	void (*meanwhile)(void);
	int fds[KEPT_MAX];
	char *names[KEPT_MAX];
	char *messages[MESSAGES_MAX];
} manager = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.heard = PTHREAD_COND_INITIALIZER,
};

static bool
begins(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* Returns the value of field in message, or ""; the caller frees it. */
static char *
value(const char *message, const char *field)
{
	const char *found = strstr(message, field);

	if (found == NULL)
		return strdup("");
	found += strlen(field);
	return strndup(found, strcspn(found, "\n"));
}

static void
keep(int fd, const char *name)
{
	ck_assert_uint_lt(manager.count, KEPT_MAX);
	manager.fds[manager.count] = fd;
	manager.names[manager.count++] = strdup(name);
}

static void
drop(const char *start)
{
	size_t count = 0;

	for (size_t i = 0; i < manager.count; i++) {
		if (begins(manager.names[i], start)) {
			close(manager.fds[i]);
			free(manager.names[i]);
			continue;
		}
		manager.fds[count] = manager.fds[i];
		manager.names[count++] = manager.names[i];
	}
	manager.count = count;
}

/* These two with the lock. */
static void
withdraw(const char *name)
{
	drop(name);
	manager.is_probed |= manager.refused != NULL &&
	                     strcmp(name, manager.refused) == 0;
}

static bool
is_refused(const char *name)
{
	if (!manager.is_probed || strcmp(name, manager.refused) != 0)
		return manager.count >= manager.size;
	manager.meanwhile();
	return true;
}

static void
hear(const char *message, const int *fds, size_t count)
{
	char *name = value(message, "FDNAME=");

	pthread_mutex_lock(&manager.lock);
	for (size_t i = 0; i < count; i++) {
		if (begins(message, "FDSTORE=1") && !is_refused(name))
			keep(fds[i], name);
		else
			close(fds[i]);
	}
	if (begins(message, MARK))
		manager.marks++;
	else if (begins(message, "FDSTOREREMOVE=1"))
		withdraw(name);
	else if (manager.message_count < MESSAGES_MAX)
		manager.messages[manager.message_count++] = strdup(message);
	pthread_cond_broadcast(&manager.heard);
	pthread_mutex_unlock(&manager.lock);
	free(name);
}

static void *
listen_to_all(void *arg)
{
	char text[4096];
	_Alignas(
	    struct cmsghdr) char control[CMSG_SPACE(BATCH_MAX * sizeof(int))];
	ssize_t n;

	(void)arg;
	for (;;) {
		struct iovec piece = { text, sizeof(text) - 1 };
		struct msghdr header = {
			.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		int fds[BATCH_MAX];
		size_t count = 0;
		if ((n = recvmsg(manager.fd, &header, MSG_CMSG_CLOEXEC)) == -1)
			return NULL;
		text[n] = '\0';
		struct cmsghdr *at = CMSG_FIRSTHDR(&header);
		if (at != NULL && at->cmsg_type == SCM_RIGHTS) {
			count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(fds, CMSG_DATA(at), count * sizeof(int));
		}
		hear(text, fds, count);
	}
}

void
manager_open(size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[64], number[16];
	pthread_t thread;

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager",
	    folder);
	manager.size = size;
	manager.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager.fd, (struct sockaddr *)&address,
			     sizeof(address)),
	    0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	snprintf(number, sizeof(number), "%zu", size);
	setenv("FDSTORE", number, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, listen_to_all, NULL), 0);
	pthread_detach(thread);
}

void
manager_await(const char *start)
{
	pthread_mutex_lock(&manager.lock);
	for (;;) {
		while (manager.seen == manager.message_count)
			pthread_cond_wait(&manager.heard, &manager.lock);
		if (begins(manager.messages[manager.seen++], start))
			break;
	}
	pthread_mutex_unlock(&manager.lock);
}

static size_t
kept(const char *start)
{
	size_t count = 0;

	for (size_t i = 0; i < manager.count; i++)
		count += begins(manager.names[i], start);
	return count;
}

void
manager_await_kept(const char *start, size_t count)
{
	pthread_mutex_lock(&manager.lock);
	while (kept(start) != count)
		pthread_cond_wait(&manager.heard, &manager.lock);
	pthread_mutex_unlock(&manager.lock);
}

int
manager_fd(const char *start)
{
	int fd = -1;

	pthread_mutex_lock(&manager.lock);
	for (size_t i = 0; i < manager.count && fd == -1; i++)
		if (begins(manager.names[i], start))
			fd = fcntl(manager.fds[i], F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&manager.lock);
	ck_assert_int_ne(fd, -1);
	return fd;
}

void
manager_pass(int fd, const char *name)
{
	pthread_mutex_lock(&manager.lock);
	keep(fd, name);
	pthread_mutex_unlock(&manager.lock);
}

void
manager_drop(const char *start)
{
	pthread_mutex_lock(&manager.lock);
	drop(start);
	pthread_mutex_unlock(&manager.lock);
}

/* Waits until all messages that were sent before the call are received. */
static void
await_mark(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);
	size_t before = manager.marks;

	ck_assert_int_eq(getsockname(manager.fd, (struct sockaddr *)&address,
			     &len),
	    0);
	ck_assert_int_eq(sendto(manager.fd, MARK, strlen(MARK), 0,
			     (struct sockaddr *)&address, len),
	    (ssize_t)strlen(MARK));
	while (manager.marks == before)
		pthread_cond_wait(&manager.heard, &manager.lock);
}

/* Passes copies; the manager keeps its descriptors until told to drop them. */
static void
pass_all(void)
{
	int fds[KEPT_MAX];
	char *names[KEPT_MAX];

	pthread_mutex_lock(&manager.lock);
	await_mark();
	size_t count = manager.count;
	for (size_t i = 0; i < count; i++) {
		fds[i] = fcntl(manager.fds[i], F_DUPFD_CLOEXEC, 0);
		names[i] = strdup(manager.names[i]);
	}
	pthread_mutex_unlock(&manager.lock);
	daemon_pass(fds, names, count);
}

void
manager_refuse(const char *name, void (*meanwhile)(void))
{
	pthread_mutex_lock(&manager.lock);
	manager.refused = name;
	manager.meanwhile = meanwhile;
	pthread_mutex_unlock(&manager.lock);
}

void
manager_start(struct daemon *daemon, const char *config)
{
	pass_all();
	daemon_start_config(daemon, config);
}

void
manager_run(struct daemon *daemon, const char *const *arguments, int status)
{
	pass_all();
	int actual = daemon_run(daemon, arguments);
	ck_assert_msg(actual == status, "ended with %d:\n%s", actual,
	    daemon->log);
}

void
manager_end(struct daemon *daemon)
{
	daemon_signal(daemon, SIGUSR2);
	daemon_finish(daemon);
}
