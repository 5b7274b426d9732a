#include "server/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "stream/conn.h"

#define BACKLOG 16
#define REQUEST_MS 5000
#define SWEEP_MS 1000
#define TEXT_MAX (CONTROL_ANSWER_MAX - 16)

int
control_init(struct control *control, control_handler *handler, void *context)
{
	*control = (struct control){
		.handler = handler,
		.context = context,
		.fd = -1,
	};
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		control->clients[i].fd = -1;
	control->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return control->epoll_fd == -1 ? -1 : 0;
}

/* Whether path is a socket that no process has any more. */
static bool
is_stale(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status) == -1 ||
	    !S_ISSOCK(status.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return false;
	bool stale = connect(fd, (const struct sockaddr *)address,
			 sizeof(*address)) == -1 &&
	             errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int
bind_path(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;
	int rc = bind(fd, any, sizeof(*address));

	if (rc == 0 || errno != EADDRINUSE)
		return rc;
	if (is_stale(address) && unlink(address->sun_path) == 0)
		return bind(fd, any, sizeof(*address));
	errno = EADDRINUSE;
	return -1;
}

static void
stop_listening(struct control *control)
{
	struct stat status;

	if (control->fd == -1)
		return;
	close(control->fd);
	control->fd = -1;
	if (stat(control->path, &status) == 0 &&
	    status.st_dev == control->device && status.st_ino == control->inode)
		unlink(control->path);
}

/* The socket, listening at control->path; -1 with errno. */
static int
start_listening(struct control *control)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status = { 0 };

	control->fd = socket(AF_UNIX,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd == -1)
		return -1;
	strcpy(address.sun_path, control->path);
	control->inode = 0;
	mode_t mask = umask(0177);
	int rc = bind_path(control->fd, &address);
	umask(mask);
	if (rc == 0 && stat(control->path, &status) == 0) {
		control->device = status.st_dev;
		control->inode = status.st_ino;
	}
	control->accepting = true;
	if (rc == 0 && listen(control->fd, BACKLOG) == 0 &&
	    epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, control->fd, &event) ==
		0)
		return 0;
	int saved_errno = errno;
	stop_listening(control);
	errno = saved_errno;
	return -1;
}

void
control_listen(struct control *control, const char *path)
{
	if (control->fd != -1 && strcmp(path, control->path) == 0)
		return;
	stop_listening(control);
	if (path[0] == '\0')
		return;
	strcpy(control->path, path);
	if (start_listening(control) == 0)
		log_debug("control socket at %s", path);
	else if (errno == ENOENT)
		log_debug("no control socket: the folder of %s is missing",
		    path);
	else
		log_warning("no control socket at %s, so timestampd -r and -s "
			    "do not reach this server: %s",
		    path,
		    errno == EADDRINUSE ? "another process is there"
					: strerror(errno));
}

static void
set_accepting(struct control *control, bool accepting)
{
	struct epoll_event event = { .events = accepting ? EPOLLIN : 0 };

	if (control->fd != -1 && epoll_ctl(control->epoll_fd, EPOLL_CTL_MOD,
				     control->fd, &event) == 0)
		control->accepting = accepting;
}

/* NULL when all are taken. */
static struct control_client *
find_free(struct control *control)
{
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd == -1)
			return &control->clients[i];
	return NULL;
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

static void
answer(int fd, int status, const char *text)
{
	char whole[CONTROL_ANSWER_MAX];
	size_t sent = 0;
	int len = status == 0 ? snprintf(whole, sizeof(whole), "ok\n%s", text)
	                      : snprintf(whole, sizeof(whole), "error %d\n%s",
				    status, text);

	/* A client that lost its answer sees the end without one. */
	sendall(fd, whole, (size_t)len, &sent);
}

static void
close_client(struct control *control, struct control_client *client)
{
	close(client->fd);
	client->fd = -1;
	if (!control->accepting)
		set_accepting(control, true);
}

static void
accept_client(struct control *control, uint64_t now_ms)
{
	struct control_client *client = find_free(control);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
	int fd = client == NULL ? -1
	                        : accept4(control->fd, NULL, NULL,
				      SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (control->sweep_ms == 0)
		control->sweep_ms = now_ms + SWEEP_MS;
	if (fd == -1) {
		set_accepting(control, false);
		return;
	}
	client->fd = fd;
	client->len = 0;
	client->deadline_ms = now_ms + REQUEST_MS;
	if (!may_ask(fd)) {
		answer(fd, EX_NOPERM,
		    "only root and the user of the server may ask\n");
		close_client(control, client);
	} else if (epoll_ctl(control->epoll_fd, EPOLL_CTL_ADD, fd, &event) ==
		   -1) {
		close_client(control, client);
	}
}

/* Answers client if it has sent its request; closes it unless more can come. */
static void
read_request(struct control *control, struct control_client *client)
{
	char text[TEXT_MAX] = "";
	size_t room = sizeof(client->request) - client->len;
	ssize_t n = recv(client->fd, client->request + client->len, room, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		client->len += (size_t)n;
		char *end = memchr(client->request, '\n', client->len);
		if (end == NULL && (size_t)n < room)
			return;
		if (end == NULL)
			end = client->request + client->len - 1;
		*end = '\0';
		int status = control->handler(control->context, client->request,
		    text, sizeof(text));
		answer(client->fd, status, text);
	}
	close_client(control, client);
}

/* Closes silent clients, and accepts again after a failure. */
static void
sweep(struct control *control, uint64_t now_ms)
{
	bool needed = false;

	if (!control->accepting && find_free(control) != NULL)
		set_accepting(control, true);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		struct control_client *client = &control->clients[i];
		if (client->fd != -1 && client->deadline_ms <= now_ms)
			close_client(control, client);
		needed = needed || client->fd != -1;
	}
	needed = needed || (control->fd != -1 && !control->accepting);
	control->sweep_ms = needed ? now_ms + SWEEP_MS : 0;
}

int
control_wait_ms(const struct control *control, uint64_t now_ms)
{
	if (control->sweep_ms == 0)
		return -1;
	return control->sweep_ms > now_ms ? (int)(control->sweep_ms - now_ms)
	                                  : 0;
}

void
control_handle(struct control *control, uint64_t now_ms)
{
	struct epoll_event event;
	int n = epoll_wait(control->epoll_fd, &event, 1, 0);

	if (n == 1 && event.data.ptr == NULL)
		accept_client(control, now_ms);
	else if (n == 1)
		read_request(control, event.data.ptr);
	else if (control_wait_ms(control, now_ms) == 0)
		sweep(control, now_ms); /* all that was sent is read by now */
}

void
control_close(struct control *control)
{
	stop_listening(control);
	for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].fd != -1)
			close(control->clients[i].fd);
	if (control->epoll_fd != -1)
		close(control->epoll_fd);
}
