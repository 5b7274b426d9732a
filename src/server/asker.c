#include "server/asker.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "server/control.h"

#define WAIT_S 60

static int
fail(int status, const char *path)
{
	fprintf(stderr, "cannot ask the server at %s: %s\n", path,
	    strerror(errno));
	return status;
}

/* The text goes to a terminal. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if (*text != '\n' && !isprint((unsigned char)*text))
			*text = '?';
}

/* What the first line says, or -1; *text is what follows it. */
static int
parse_status(char *answer, char **text)
{
	static const char error[] = "error ";
	char *end = strchr(answer, '\n');

	if (end == NULL)
		return -1;
	*end = '\0';
	*text = end + 1;
	if (strcmp(answer, "ok") == 0)
		return 0;
	if (strncmp(answer, error, strlen(error)) != 0)
		return -1;
	long status = strtol(answer + strlen(error), NULL, 10);
	return status >= EX__BASE && status <= EX__MAX ? (int)status : -1;
}

static int
show_answer(char *answer, const char *path)
{
	char *text;
	int status = parse_status(answer, &text);

	if (status == -1) {
		fprintf(stderr, "the server at %s ended without an answer\n",
		    path);
		return EX_UNAVAILABLE;
	}
	make_printable(text);
	FILE *out = status == 0 ? stdout : stderr;
	if (fputs(text, out) != EOF && fflush(out) != EOF)
		return status;
	return status == 0 ? fail(EX_IOERR, path) : status;
}

/* SIGCONT interrupts calls that have a time limit: hence the retries. */
static int
ask(int fd, const char *path, const char *request)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = WAIT_S };
	char line[CONTROL_REQUEST_MAX], answer[CONTROL_ANSWER_MAX + 1];

	strcpy(address.sun_path, path);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ==
		-1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) == -1)
		return fail(EX_OSERR, path);
	if (TEMP_FAILURE_RETRY(connect(fd, (struct sockaddr *)&address,
		sizeof(address))) == -1)
		return fail(errno == EACCES || errno == EPERM ? EX_NOPERM
							      : EX_UNAVAILABLE,
		    path);
	int len = snprintf(line, sizeof(line), "%s\n", request);
	/* A server that refuses has closed already, and said why. */
	if (send(fd, line, (size_t)len, MSG_NOSIGNAL) == -1 && errno != EPIPE)
		return fail(EX_OSERR, path);
	ssize_t n = TEMP_FAILURE_RETRY(
	    recv(fd, answer, CONTROL_ANSWER_MAX, MSG_WAITALL));
	if (n == -1 && errno == EAGAIN)
		errno = ETIMEDOUT;
	if (n == -1)
		return fail(EX_UNAVAILABLE, path);
	answer[n] = '\0';
	return show_answer(answer, path);
}

int
asker_run(const char *path, const char *request)
{
	if (path[0] == '\0') {
		fputs("control = \"\": with this configuration the server has "
		      "no control socket\n",
		    stderr);
		return EX_UNAVAILABLE;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status = ask(fd, path, request);
	if (fd != -1)
		close(fd);
	return status;
}
