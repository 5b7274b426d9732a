#include "server/control.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/sockaddr.h"

#define WAIT_MS 60000
#define AGAIN_S 2 /* then the request is made once more */

/* The kernel's names for sockets that are bound to none: five hex digits. */
#define NAME_DIGITS 5
#define NAME_LEN (offsetof(struct sockaddr_un, sun_path) + 1 + NAME_DIGITS)

/* A socket of a name that the kernel chose; *value is the name as a number. */
static int
open_named(int *value)
{
	struct sockaddr_any name = { .len = sizeof(name.un) };
	struct timeval wait = { .tv_sec = AGAIN_S };
	char digits[NAME_DIGITS + 1] = "";
	int on = 1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	name.un.sun_family = AF_UNIX;
	if (bind(fd, &name.any, sizeof(sa_family_t)) == -1 ||
	    getsockname(fd, &name.any, &name.len) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ==
		-1 ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == -1 ||
	    name.len != NAME_LEN) {
		close(fd);
		return -1;
	}
	memcpy(digits, name.un.sun_path + 1, NAME_DIGITS);
	*value = (int)strtol(digits, NULL, 16);
	return fd;
}

/* All users see the name, and may send something there: *sender says who did. */
static ssize_t
receive(int fd, char answer[CONTROL_ANSWER_MAX], pid_t *sender)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec piece = { answer, CONTROL_ANSWER_MAX - 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct ucred identity = { 0 };
	ssize_t len = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = len == -1 ? NULL : CMSG_FIRSTHDR(&message);

	if (header != NULL && header->cmsg_type == SCM_CREDENTIALS)
		memcpy(&identity, CMSG_DATA(header), sizeof(identity));
	*sender = identity.pid;
	return len;
}

/*
 * A signal that is pending swallows those that follow, be they another's: so the
 * request is made again and again.  -1 with errno.
 */
static ssize_t
ask(int fd, pid_t pid, union sigval value, char answer[CONTROL_ANSWER_MAX])
{
	uint64_t begin_ms = clock_ms(), again_ms = begin_ms;
	pid_t sender;

	while (clock_ms() - begin_ms < WAIT_MS) {
		if (clock_ms() >= again_ms) {
			if (sigqueue(pid, SIGHUP, value) == -1)
				return -1;
			again_ms = clock_ms() + AGAIN_S * (uint64_t)1000;
		}
		ssize_t len = receive(fd, answer, &sender);
		if (len == -1 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (len != -1 && sender == pid)
			return len;
	}
	errno = ETIMEDOUT;
	return -1;
}

/* For a terminal: lines of what can be printed. */
static void
make_printable(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != '\n' && !isprint((unsigned char)text[i]))
			text[i] = '?';
	text[len] = '\0';
}

int
control_ask_reload(pid_t pid, char answer[CONTROL_ANSWER_MAX])
{
	union sigval value;
	ssize_t len = -1;
	int fd = open_named(&value.sival_int);

	if (fd != -1)
		len = ask(fd, pid, value, answer);
	if (len == -1)
		snprintf(answer, CONTROL_ANSWER_MAX,
		    "no answer from process %d: %s", pid, strerror(errno));
	else
		make_printable(answer, (size_t)len);
	if (fd != -1)
		close(fd);
	return len == 0 ? 0 : -1;
}

void
control_answer(int value, const char *reason)
{
	struct sockaddr_any name = { .len = NAME_LEN };
	char digits[NAME_DIGITS + 1];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return;
	name.un.sun_family = AF_UNIX;
	snprintf(digits, sizeof(digits), "%05x", (unsigned)value & 0xfffff);
	memcpy(name.un.sun_path + 1, digits, NAME_DIGITS);
	/* A longer one might not be sent at all. */
	sendto(fd, reason, strnlen(reason, CONTROL_ANSWER_MAX - 1),
	    MSG_DONTWAIT | MSG_NOSIGNAL, &name.any, name.len);
	close(fd);
}
