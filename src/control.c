#include "control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "address.h"

#define WAIT_S 60

/* The kernel's names for sockets that are bound to none: five hex digits. */
#define NAME_DIGITS 5
#define NAME_LEN (offsetof(struct sockaddr_un, sun_path) + 1 + NAME_DIGITS)

/* A socket of a name that the kernel chose; *value is the name as a number. */
static int
open_named(int *value)
{
	struct address name = { .len = sizeof(name.un) };
	struct timeval wait = { .tv_sec = WAIT_S };
	char digits[NAME_DIGITS + 1] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	name.un.sun_family = AF_UNIX;
	if (bind(fd, &name.any, sizeof(sa_family_t)) == -1 ||
	    getsockname(fd, &name.any, &name.len) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ==
		-1 ||
	    name.len != NAME_LEN) {
		close(fd);
		return -1;
	}
	memcpy(digits, name.un.sun_path + 1, NAME_DIGITS);
	*value = (int)strtol(digits, NULL, 16);
	return fd;
}

int
control_ask_reload(pid_t pid, char answer[CONTROL_ANSWER_MAX])
{
	union sigval value;
	ssize_t len = -1;
	int fd = open_named(&value.sival_int);

	if (fd != -1 && sigqueue(pid, SIGHUP, value) == 0)
		len = recv(fd, answer, CONTROL_ANSWER_MAX - 1, 0);
	if (len == -1)
		snprintf(answer, CONTROL_ANSWER_MAX,
		    "no answer from process %d: %s", pid, strerror(errno));
	else
		answer[len] = '\0';
	if (fd != -1)
		close(fd);
	return len == 0 ? 0 : -1;
}

void
control_answer(int value, const char *reason)
{
	struct address name = { .len = NAME_LEN };
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
