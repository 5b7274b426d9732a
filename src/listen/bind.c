#include "listen/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "net/socket_file.h"
#include "net/sockopt.h"

static int
make_socket(const struct listener *listener)
{
	return socket(listener->bound.any.sa_family,
	    protocol_socket_type(listener->config.protocol) | SOCK_CLOEXEC |
		SOCK_NONBLOCK,
	    0);
}

/* 0 when a process serves the file, else the errno of connecting to it. */
static int
try_file(const struct listener *listener, const struct socket_file *file)
{
	struct sockaddr_any address = socket_file_address(file);
	int fd = make_socket(listener);

	if (fd == -1)
		return errno;
	int rc = connect(fd, &address.any, address.len);
	int problem = rc == 0 ? 0 : errno;
	close(fd);
	return problem == EAGAIN || problem == EPROTOTYPE ? 0 : problem;
}

static int
clear_file(const struct listener *listener, const struct socket_file *file,
    char *error)
{
	if (!S_ISSOCK(file->status.st_mode)) {
		errno = EADDRINUSE;
		return listener_fail(listener, error,
		    "there is a file that is not a socket; remove it or "
		    "choose another path");
	}
	int problem = try_file(listener, file);
	errno = problem == 0 ? EADDRINUSE : problem;
	if (problem == 0)
		return listener_fail(listener, error,
		    "another process serves this socket; stop it or choose "
		    "another path");
	if (problem != ECONNREFUSED)
		return listener_fail(listener, error,
		    "there is a socket already; connecting to it fails: %m");
	if (socket_file_remove(file) == 0 || errno == ENOENT)
		return 0;
	return listener_fail(listener, error, "stale socket: %m");
}

/* Removes the socket of a process that has ended. */
static int
clear_path(const struct listener *listener, char *error)
{
	struct socket_file file;

	if (socket_file_open(&file, listener->bound.un.sun_path) == -1)
		return errno == ENOENT ? 0
		                       : listener_fail(listener, error, "%m");
	int rc = clear_file(listener, &file, error);
	int problem = errno;
	socket_file_close(&file);
	errno = problem;
	return rc;
}

static int
bind_unix(struct listener *listener, char *error)
{
	if (clear_path(listener, error) == -1)
		return -1;
	mode_t mask = umask(0777 & ~listener->config.mode);
	int rc = bind(listener->fd, &listener->bound.any, listener->bound.len);
	umask(mask);
	if (rc == -1)
		return listener_fail(listener, error, "bind: %m%s",
		    errno == ENOENT ? "; the folder of this path is missing"
				    : "");
	listener_note_path(listener);
	return 0;
}

static const char *
bind_advice(void)
{
	switch (errno) {
	case EADDRINUSE:
		return "; another process has this address (ss -lnp tells), "
		       "stop it or choose another port";
	case EACCES:
		return "; ports below 1024 need CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "; this host has no such address";
	default:
		return "";
	}
}

static int
bind_inet(struct listener *listener, char *error)
{
	struct sockaddr_any *bound = &listener->bound;

	/* Only sockets of one user can share an address. */
	listener_give_socket(listener);
	if (bind(listener->fd, &bound->any, bound->len) == -1)
		return listener_fail(listener, error, "bind: %m%s",
		    bind_advice());
	bound->len = sizeof(bound->storage);
	if (getsockname(listener->fd, &bound->any, &bound->len) == -1)
		return listener_fail(listener, error, "getsockname: %m");
	listener_rename(listener);
	return 0;
}

static int
open_bound(struct listener *listener, bool is_shared, char *error)
{
	bool has_siblings = listener->config.threads > 1;
	enum protocol protocol = listener->config.protocol;
	sa_family_t family = listener->bound.any.sa_family;

	if (listener->fd != -1) /* of a try before */
		close(listener->fd);
	listener->fd = make_socket(listener);
	if (listener->fd == -1)
		return listener_fail(listener, error, "socket: %m");
	if ((family == AF_INET6 &&
		sockopt_set(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY,
		    !listener->dual_stack) == -1) ||
	    (is_shared &&
		sockopt_set(listener->fd, SOL_SOCKET, SO_REUSEPORT, 1) == -1) ||
	    sockopt_set_up(listener->fd, protocol, family) == -1)
		return listener_fail(listener, error, "setsockopt: %m");
	if (protocol_is_unix(protocol) ? bind_unix(listener, error) == -1
				       : bind_inet(listener, error) == -1)
		return -1;
	if (protocol == PROTOCOL_TCP &&
	    sockopt_set_buffers(listener->fd,
		listener->config.receive_buffer) == -1)
		return listener_fail(listener, error, "setsockopt: %m");
	if (!protocol_is_datagram(protocol) &&
	    listen(listener->fd, listener->config.backlog) == -1)
		return listener_fail(listener, error, "listen: %m%s",
		    bind_advice());
	/* A listener that drains is beside it, and was bound first. */
	if (is_shared && protocol == PROTOCOL_TCP)
		sockopt_prefer_second(listener->fd);
	/* From here on only siblings may have the address too. */
	if (is_shared != has_siblings && sockopt_set(listener->fd, SOL_SOCKET,
					     SO_REUSEPORT, has_siblings) == -1)
		return listener_fail(listener, error, "setsockopt: %m");
	listener->state = LISTENER_READY;
	return 0;
}

int
listener_open(struct listener *listener, const struct listener *beside,
    char error[LISTENER_ERROR_MAX])
{
	struct sockaddr_any *bound = &listener->bound;

	*bound = listener->wanted;
	/* The port that the kernel chose for one sibling is that of all. */
	if (beside != NULL)
		bound->in.sin_port = beside->bound.in.sin_port;
	int rc = open_bound(listener, beside != NULL, error);
	if (rc == 0 || !listener->dual_stack ||
	    (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
		return rc;
	/* This host has no IPv6. */
	bound->in = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = bound->in6.sin6_port,
	};
	bound->len = sizeof(bound->in);
	return open_bound(listener, beside != NULL, error);
}
