#include "server/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/message.h"
#include "listen/listener.h"
#include "listen/user.h"
#include "server/reload.h"
#include "server/server.h"

#define REQUEST_MS 2000
#define RETRY_MS 1000
#define WAIT_S 60
#define ANSWER_MAX 16384 /* bytes; a record fits into the socket's buffer */
#define TEXT_MAX (ANSWER_MAX - 16)
#define REQUEST_MAX 32

static int
watch(struct server *server, int operation, int fd, uint32_t events)
{
	struct epoll_event event = {
		.events = events,
		.data.ptr = &server->control,
	};

	return epoll_ctl(server->epoll_fd, operation, fd, &event);
}

/* -1 with errno and a message in error. */
static int
start_listening(struct server *server, char *error)
{
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	struct listener_config config;

	listener_config_default(&config, PROTOCOL_UNIX_SEQPACKET);
	strcpy(config.path, server->config->control);
	strcpy(config.where, "control");
	config.mode = 0600;
	if (listener_resolve(&config, &list, 0, error) == -1)
		return -1;
	struct listener *listener = TAILQ_FIRST(&list);
	server->control.listener = listener;
	if (listener_open(listener, NULL, error) == -1)
		return -1;
	user_give_path(&server->listeners.user, server->config, listener);
	if (watch(server, EPOLL_CTL_ADD, listener->fd,
		server->control.client_fd == -1 ? EPOLLIN : 0) == -1)
		return listener_fail(listener, error, "epoll_ctl: %s",
		    strerror(errno));
	return 0;
}

void
control_open(struct server *server)
{
	struct control *control = &server->control;
	const char *path = server->config->control;
	char error[LISTENER_ERROR_MAX];

	if (control->listener != NULL &&
	    strcmp(path, control->listener->bound.un.sun_path) == 0)
		return;
	struct listener *old = control->listener;
	control->listener = NULL;
	if (path[0] == '\0' || start_listening(server, error) == 0) {
		log_debug("control socket at %s", path);
		listener_free(old);
		return;
	}
	if (old != NULL)
		log_warning("the control socket cannot move from %s: %s",
		    old->bound.un.sun_path, error);
	else if (errno == ENOENT)
		log_info("no control socket, so timestampd -r and -s do not "
			 "work: the folder of %s is missing",
		    path);
	else
		log_warning("no control socket, so timestampd -r and -s do not "
			    "reach this server: %s",
		    error);
	listener_free(control->listener);
	control->listener = old;
}

static void
accept_client(struct server *server, uint64_t now_ms)
{
	struct control *control = &server->control;
	int fd = accept4(control->listener->fd, NULL, NULL,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* The next client waits until this one is served, or for a retry. */
	watch(server, EPOLL_CTL_MOD, control->listener->fd, 0);
	control->deadline_ms = now_ms + RETRY_MS;
	if (fd == -1)
		return;
	if (watch(server, EPOLL_CTL_ADD, fd, EPOLLIN) == -1) {
		close(fd);
		return;
	}
	control->client_fd = fd;
	control->deadline_ms = now_ms + REQUEST_MS;
}

/*
 * The user ID of a client outside the server's user namespace shows up as an
 * overflow ID, which is neither of these.  PrivateUsers= maps root to root.
 */
static bool
may_ask(int fd)
{
	struct ucred client;
	socklen_t len = sizeof(client);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client, &len) == 0 &&
	       (client.uid == 0 || client.uid == geteuid());
}

/* Returns 0, or an exit status for the client, with text for it. */
static int
run_request(struct server *server, const char *request, char text[TEXT_MAX])
{
	bool is_json = strcmp(request, "counters json") == 0;
	struct counters sum = { 0 };

	if (strcmp(request, "reload") == 0)
		return reload_run(server, text, TEXT_MAX);
	if (is_json || strcmp(request, "counters") == 0) {
		server_total_counters(server, &sum);
		counters_text(&sum, is_json ? COUNTERS_JSON : COUNTERS_LINES,
		    text);
		return 0;
	}
	strcpy(text,
	    "unknown request; there are: reload, counters, counters json\n");
	return EX_USAGE;
}

/* False: the request has not come yet. */
static bool
answer_client(struct server *server)
{
	char request[REQUEST_MAX], text[TEXT_MAX] = "", answer[ANSWER_MAX];
	int fd = server->control.client_fd, status = EX_NOPERM;
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);

	if (n <= 0)
		return n == 0 || (errno != EAGAIN && errno != EINTR);
	request[n] = '\0';
	if (may_ask(fd))
		status = run_request(server, request, text);
	else
		strcpy(text, "only root and the user of the server may ask\n");
	int len = snprintf(answer, sizeof(answer), "%d\n%s", status, text);
	/* A client that loses its answer sees the end without one. */
	send(fd, answer, (size_t)len, MSG_NOSIGNAL);
	return true;
}

/* Ends with the client, if there is one, and has the next one accepted. */
static void
go_on(struct server *server, uint64_t now_ms)
{
	struct control *control = &server->control;

	if (control->client_fd != -1)
		close(control->client_fd);
	control->client_fd = -1;
	control->deadline_ms = UINT64_MAX;
	if (control->listener != NULL &&
	    watch(server, EPOLL_CTL_MOD, control->listener->fd, EPOLLIN) == -1)
		control->deadline_ms = now_ms + RETRY_MS;
}

void
control_handle(struct server *server, uint64_t now_ms)
{
	struct control *control = &server->control;
	bool is_late = control->deadline_ms <= now_ms;

	if (control->client_fd == -1 && !is_late)
		accept_client(server, now_ms);
	else if (control->client_fd == -1 || answer_client(server) || is_late)
		go_on(server, now_ms);
}

void
control_close(struct server *server)
{
	listener_free(server->control.listener);
	if (server->control.client_fd != -1)
		close(server->control.client_fd);
}

static int
fail(int status, const char *path)
{
	const char *hint = errno == ENOENT || errno == ECONNREFUSED
	                     ? "; does it run, with the same -c?"
	                     : "";

	message_print(stderr, "cannot ask the server at %s: %s%s\n", path,
	    strerror(errno), hint);
	return status;
}

/* Shows the text behind the first line, and returns the status in it. */
static int
show_answer(const char *answer, const char *path)
{
	char *text;
	size_t len;
	int status = (int)strtol(answer, &text, 10);
	FILE *out = status == 0 ? stdout : stderr;

	if (*text != '\n') {
		message_print(stderr,
		    "the server at %s ended without an answer\n", path);
		return EX_UNAVAILABLE;
	}
	for (text++; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		message_print(out, "%.*s\n", (int)len, text);
	}
	if (fflush(out) == EOF && status == 0)
		return fail(EX_IOERR, path);
	return status;
}

/*
 * The length of the answer, or -1 with errno.  SIGCONT interrupts calls that
 * have a time limit: hence the retries.
 */
static ssize_t
exchange(int fd, const char *path, const char *request, char *answer)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = WAIT_S };

	strcpy(address.sun_path, path);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) ==
		-1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ==
		-1 ||
	    TEMP_FAILURE_RETRY(connect(fd, (struct sockaddr *)&address,
		sizeof(address))) == -1 ||
	    send(fd, request, strlen(request), MSG_NOSIGNAL) == -1)
		return -1;
	return TEMP_FAILURE_RETRY(recv(fd, answer, ANSWER_MAX, 0));
}

int
control_ask(const char *path, const char *request)
{
	char answer[ANSWER_MAX + 1];

	if (path[0] == '\0') {
		fputs("control = \"\": with this configuration the server has "
		      "no control socket\n",
		    stderr);
		return EX_UNAVAILABLE;
	}
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return fail(EX_OSERR, path);
	ssize_t n = exchange(fd, path, request, answer);
	close(fd);
	if (n == -1 && errno == EAGAIN)
		errno = ETIMEDOUT;
	if (n == -1)
		return fail(errno == EACCES || errno == EPERM ? EX_NOPERM
							      : EX_UNAVAILABLE,
		    path);
	answer[n] = '\0';
	return show_answer(answer, path);
}
