#include "listen/listener.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/resolver.h"
#include "net/socket_file.h"
#include "net/sockopt.h"

int
listener_fail(const struct listener *listener, char *error, const char *format,
    ...)
{
	int saved_errno = errno;
	va_list args;

	int len = snprintf(error, LISTENER_ERROR_MAX,
	    "%s: %s: ", listener->config.where, listener->name);
	va_start(args, format);
	vsnprintf(error + len, LISTENER_ERROR_MAX - (size_t)len, format, args);
	va_end(args);
	errno = saved_errno;
	return -1;
}

void
listener_rename(struct listener *listener)
{
	const struct sockaddr_any *address = listener->fd == -1
	                                       ? &listener->wanted
	                                       : &listener->bound;
	char text[SOCKADDR_TEXT_MAX];

	snprintf(listener->name, sizeof(listener->name), "%s %s",
	    protocol_name(listener->config.protocol),
	    sockaddr_text(address, listener->dual_stack, text, sizeof(text)));
}

struct listener *
listener_new(const struct listener_config *config,
    const struct sockaddr *wanted, socklen_t len)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL)
		return NULL;
	listener->config = *config;
	access_hold(listener->config.access);
	listener->dual_stack = !protocol_is_unix(config->protocol) &&
	                       strcmp(config->address, "*") == 0;
	listener->fd = -1;
	listener->owner = geteuid();
	memcpy(&listener->wanted.any, wanted, len);
	listener->wanted.len = len;
	listener_rename(listener);
	return listener;
}

/* One listener for each thread.  -1: out of memory. */
static int
add(const struct listener_config *config, struct listener_list *list,
    const void *address, socklen_t len)
{
	int number = 0;

	do {
		struct listener *listener = listener_new(config, address, len);
		if (listener == NULL)
			return -1;
		listener->number = number;
		TAILQ_INSERT_TAIL(list, listener, link);
	} while (++number < config->threads);
	return 0;
}

/* Whether a name resolved to this address before, in the list from first on. */
static bool
is_repeated(const struct addrinfo *first, const struct addrinfo *at)
{
	for (; first != at; first = first->ai_next)
		if (first->ai_addrlen == at->ai_addrlen &&
		    memcmp(first->ai_addr, at->ai_addr, at->ai_addrlen) == 0)
			return true;
	return false;
}

static void
complain_host(const struct listener_config *config, int problem, char *error)
{
	bool is_late = problem == EAI_SYSTEM && errno == ETIMEDOUT;
	const char *reason = problem == EAI_SYSTEM ? strerror(errno)
	                                           : gai_strerror(problem);

	snprintf(error, LISTENER_ERROR_MAX, "%s: %s %s: %s%s", config->where,
	    protocol_name(config->protocol), config->address,
	    is_late ? "name resolution took too long; see whether the name "
		      "servers in /etc/resolv.conf answer, or configure "
		      "addresses"
		    : "host not found: ",
	    is_late ? "" : reason);
	errno = EADDRNOTAVAIL;
}

static int
add_host(const struct listener_config *config, struct listener_list *list,
    uint64_t deadline_ms, char *error)
{
	struct addrinfo *found = NULL;
	int rc = 0;
	int problem = resolver_find(config->address, config->port,
	    protocol_socket_type(config->protocol), deadline_ms, &found);

	if (problem != 0) {
		complain_host(config, problem, error);
		return -1;
	}
	for (struct addrinfo *at = found; at && rc == 0; at = at->ai_next)
		if (!is_repeated(found, at))
			rc = add(config, list, at->ai_addr, at->ai_addrlen);
	freeaddrinfo(found);
	return rc;
}

int
listener_resolve(const struct listener_config *config,
    struct listener_list *list, uint64_t deadline_ms,
    char error[LISTENER_ERROR_MAX])
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)config->port),
	};

	snprintf(error, LISTENER_ERROR_MAX, "%s: out of memory", config->where);
	if (protocol_is_unix(config->protocol)) {
		strcpy(un.sun_path, config->path);
		return add(config, list, &un,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				strlen(config->path) + 1));
	}
	if (strcmp(config->address, "*") == 0)
		return add(config, list, &any, sizeof(any));
	return add_host(config, list, deadline_ms, error);
}

void
listener_note_path(struct listener *listener)
{
	struct stat status;

	if (lstat(listener->bound.un.sun_path, &status) != 0 ||
	    !S_ISSOCK(status.st_mode))
		return;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
}

/* Opens the file at its path; ESTALE: it is not the one that was noted. */
static int
open_file(const struct listener *listener, struct socket_file *file)
{
	if (socket_file_open(file, listener->bound.un.sun_path) == -1)
		return -1;
	if (listener->inode != 0 && file->status.st_dev == listener->device &&
	    file->status.st_ino == listener->inode)
		return 0;
	socket_file_close(file);
	errno = ESTALE;
	return -1;
}

/* Leaves a path alone where another process has put its own socket. */
static void
remove_path(struct listener *listener)
{
	struct socket_file file;

	if (listener->inode == 0)
		return;
	if (open_file(listener, &file) == 0) {
		socket_file_remove(&file);
		socket_file_close(&file);
	}
	listener->inode = 0;
}

static int
set_mode(const struct listener *listener, mode_t mode)
{
	struct socket_file file;

	if (open_file(listener, &file) == -1)
		return -1;
	int rc = socket_file_set_mode(&file, mode);
	int problem = errno;
	socket_file_close(&file);
	errno = problem;
	return rc;
}

int
listener_set_owner(const struct listener *listener, uid_t user, gid_t group)
{
	struct socket_file file;

	if (open_file(listener, &file) == -1)
		return -1;
	int rc = socket_file_set_owner(&file, user, group);
	int problem = errno;
	socket_file_close(&file);
	errno = problem;
	return rc;
}

void
listener_give_socket(const struct listener *listener)
{
	struct stat status;

	if (!protocol_is_unix(listener->config.protocol) &&
	    fstat(listener->fd, &status) == 0 &&
	    status.st_uid != listener->owner &&
	    fchown(listener->fd, listener->owner, (gid_t)-1) == -1)
		log_debug("%s: cannot be given to user %u: %s", listener->name,
		    listener->owner, strerror(errno));
}

/* For connections that are accepted from now on. */
static int
update_buffers(struct listener *listener, int receive_bytes)
{
	struct listener_config *config = &listener->config;

	if (config->protocol != PROTOCOL_TCP ||
	    config->receive_buffer == receive_bytes)
		return 0;
	if (sockopt_set_buffers(listener->fd, receive_bytes) == -1)
		return -1;
	config->receive_buffer = receive_bytes;
	return 0;
}

/* Those that are not of the socket. */
static void
take_settings(struct listener_config *config,
    const struct listener_config *from)
{
	config->framing = from->framing;
	config->idle_timeout = from->idle_timeout;
	config->stamp = from->stamp;
	strcpy(config->timezone, from->timezone);
	config->proxy = from->proxy;
	config->proxy_from_count = from->proxy_from_count;
	memcpy(config->proxy_from, from->proxy_from,
	    sizeof(config->proxy_from));
	config->max_datagram = from->max_datagram;
	config->abstract_clients = from->abstract_clients;
	access_release(config->access);
	config->access = access_hold(from->access);
}

int
listener_update(struct listener *listener, const struct listener *wanted)
{
	struct listener_config *config = &listener->config, defaults;
	const struct listener_config *from = &defaults;

	listener_config_default(&defaults, config->protocol);
	if (wanted != NULL)
		from = &wanted->config;
	take_settings(config, from);
	int rc = update_buffers(listener, from->receive_buffer);
	if (wanted == NULL || listener->origin == ORIGIN_PASSED)
		return rc;
	if (config->mode != from->mode && protocol_is_unix(config->protocol))
		rc |= set_mode(listener, from->mode);
	if (rc == 0) /* else the next reload tries again */
		config->mode = from->mode;
	/* listen(2) on a listening socket changes its backlog. */
	if (config->backlog != from->backlog &&
	    !protocol_is_datagram(config->protocol))
		rc |= listen(listener->fd, from->backlog);
	if (rc == 0)
		config->backlog = from->backlog;
	if (listener->state == LISTENER_READY) {
		config->threads = from->threads;
		if (config->protocol == PROTOCOL_UDP)
			rc |= sockopt_set(listener->fd, SOL_SOCKET,
			    SO_REUSEPORT, config->threads > 1);
	}
	return rc;
}

void
listener_drain(struct listener *listener)
{
	listener_unstore(listener);
	listener->state = LISTENER_DRAINING;
	if (!protocol_is_unix(listener->config.protocol))
		sockopt_set(listener->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	else
		remove_path(listener);
	if (listener->config.protocol == PROTOCOL_TCP)
		sockopt_drop_syn(listener->fd);
	/* A Unix listener that is shut down still has its backlog. */
	else if (!protocol_is_datagram(listener->config.protocol))
		shutdown(listener->fd, SHUT_RDWR);
}

void
listener_divert(const struct listener *listener)
{
	const struct sockaddr_any *bound = &listener->bound;
	struct sockaddr_in6 mapped = bound->in6;

	mapped.sin6_addr =
	    (struct in6_addr){ .s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	/* Connected to itself it receives from no client.  Where IPv6 is
	 * switched off it can be connected to IPv4 only. */
	if (listener->config.protocol == PROTOCOL_UDP &&
	    connect(listener->fd, &bound->any, bound->len) == -1 &&
	    bound->any.sa_family == AF_INET6)
		(void)connect(listener->fd, (struct sockaddr *)&mapped,
		    sizeof(mapped));
}

void
listener_free(struct listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->store_name[0] == '\0')
		remove_path(listener);
	if (listener->fd != -1)
		close(listener->fd);
	access_release(listener->config.access);
	free(listener);
}

void
listener_free_all(struct listener_list *list)
{
	struct listener *listener;

	while ((listener = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, listener, link);
		listener_free(listener);
	}
}
