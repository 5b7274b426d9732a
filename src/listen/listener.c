#include "listen/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/resolver.h"
#include "net/sockopt.h"
#include "systemd/fdstore.h"

/* What a stored socket is called: with what it can't tell itself, and a number
 * of its own. */
#define STORED_NAME ".listener-"
#define STORED_ANY_PORT 1U
#define STORED_DUAL_STACK 2U
#define STORED_NUMBER_SHIFT 2

static int fail(const struct listener *listener, char *error,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Always -1; leaves errno alone. */
static int
fail(const struct listener *listener, char *error, const char *format, ...)
{
	int saved_errno = errno;
	va_list args;

	int len = snprintf(error, LISTENER_ERROR_MAX,
	    "%s: %s: ", listener->where, listener->name);
	va_start(args, format);
	vsnprintf(error + len, LISTENER_ERROR_MAX - (size_t)len, format, args);
	va_end(args);
	errno = saved_errno;
	return -1;
}

static void
set_name(struct listener *listener, const struct sockaddr_any *address)
{
	char text[SOCKADDR_TEXT_MAX];

	snprintf(listener->name, sizeof(listener->name), "%s %s",
	    protocol_name(listener->protocol),
	    sockaddr_text(address, listener->dual_stack, text, sizeof(text)));
}

static struct listener *
add_listener(const struct listener_config *config, struct listener_list *list,
    const struct sockaddr *address, socklen_t len)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL)
		return NULL;
	listener->protocol = config->protocol;
	listener->framing = config->framing;
	listener->backlog = config->backlog;
	listener->mode = config->mode;
	listener->max_datagram = config->max_datagram;
	listener->threads = config->threads;
	listener->fd = -1;
	strcpy(listener->fd_name, config->fd_name);
	strcpy(listener->where, config->where);
	memcpy(&listener->wanted.any, address, len);
	listener->wanted.len = len;
	set_name(listener, &listener->wanted);
	TAILQ_INSERT_TAIL(list, listener, link);
	return listener;
}

static struct listener *
add_unix(const struct listener_config *config, struct listener_list *list)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, config->path);
	return add_listener(config, list, (struct sockaddr *)&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			strlen(config->path) + 1));
}

static struct listener *
add_any(const struct listener_config *config, struct listener_list *list)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)config->port),
		.sin6_addr = IN6ADDR_ANY_INIT,
	};
	struct listener *listener = add_listener(config, list,
	    (struct sockaddr *)&address, sizeof(address));

	if (listener != NULL) {
		listener->dual_stack = true;
		set_name(listener, &listener->wanted);
	}
	return listener;
}

/* A name may resolve to an address twice: whether it is behind before already. */
static bool
is_listed(const struct listener_list *list, const struct listener *before,
    const struct addrinfo *found)
{
	const struct listener *listener = before == NULL
	                                    ? TAILQ_FIRST(list)
	                                    : TAILQ_NEXT(before, link);

	for (; listener != NULL; listener = TAILQ_NEXT(listener, link))
		if (listener->wanted.len == found->ai_addrlen &&
		    memcmp(&listener->wanted.any, found->ai_addr,
			found->ai_addrlen) == 0)
			return true;
	return false;
}

static void
complain_host(const struct listener_config *config, int problem,
    char error[LISTENER_ERROR_MAX])
{
	if (problem == EAI_SYSTEM && errno == ETIMEDOUT)
		snprintf(error, LISTENER_ERROR_MAX,
		    "%s: %s %s: name resolution took too long; see whether the "
		    "name servers in /etc/resolv.conf answer, or configure "
		    "addresses",
		    config->where, protocol_name(config->protocol),
		    config->address);
	else
		snprintf(error, LISTENER_ERROR_MAX,
		    "%s: %s %s: host not found: %s", config->where,
		    protocol_name(config->protocol), config->address,
		    problem == EAI_SYSTEM ? strerror(errno)
					  : gai_strerror(problem));
}

static int
add_resolved(const struct listener_config *config, struct listener_list *list,
    uint64_t deadline_ms, char *error)
{
	const struct listener *before = TAILQ_LAST(list, listener_list);
	struct addrinfo *found = NULL;
	int rc = 0;
	int problem = resolver_find(config->address, config->port,
	    protocol_socket_type(config->protocol), deadline_ms, &found);

	if (problem != 0) {
		complain_host(config, problem, error);
		errno = EADDRNOTAVAIL;
		return -1;
	}
	for (struct addrinfo *at = found; at && rc == 0; at = at->ai_next)
		if (!is_listed(list, before, at) &&
		    add_listener(config, list, at->ai_addr, at->ai_addrlen) ==
			NULL)
			rc = -1;
	freeaddrinfo(found);
	return rc;
}

/* Of all behind before, one for each thread but the first. */
static int
add_siblings(struct listener_list *list, const struct listener *before)
{
	const struct listener *last = TAILQ_LAST(list, listener_list);
	const struct listener *first = before;

	while (first != last) {
		first = first == NULL ? TAILQ_FIRST(list)
		                      : TAILQ_NEXT(first, link);
		for (int number = 1; number < first->threads; number++) {
			struct listener *sibling = malloc(sizeof(*sibling));
			if (sibling == NULL)
				return -1;
			*sibling = *first;
			sibling->number = number;
			TAILQ_INSERT_TAIL(list, sibling, link);
		}
	}
	return 0;
}

int
listener_resolve(const struct listener_config *config,
    struct listener_list *list, uint64_t deadline_ms,
    char error[LISTENER_ERROR_MAX])
{
	const struct listener *before = TAILQ_LAST(list, listener_list);
	int rc;

	error[0] = '\0';
	if (protocol_is_unix(config->protocol))
		rc = add_unix(config, list) ? 0 : -1;
	else if (strcmp(config->address, "*") == 0)
		rc = add_any(config, list) ? 0 : -1;
	else
		rc = add_resolved(config, list, deadline_ms, error);
	if (rc == 0)
		rc = add_siblings(list, before);
	if (rc == -1 && error[0] == '\0')
		snprintf(error, LISTENER_ERROR_MAX, "%s: out of memory",
		    config->where);
	return rc;
}

static bool
has_same_address(const struct listener *a, const struct listener *b)
{
	return a->protocol == b->protocol && a->dual_stack == b->dual_stack &&
	       sockaddr_equal(&a->wanted, &b->wanted);
}

bool
listener_same(const struct listener *a, const struct listener *b)
{
	return has_same_address(a, b) && a->number == b->number;
}

bool
listener_is_sibling(const struct listener *a, const struct listener *b)
{
	return has_same_address(a, b) && a->number != b->number;
}

bool
listener_is_named(const struct listener *open, const struct listener *wanted)
{
	return open->passed && open->protocol == wanted->protocol &&
	       wanted->fd_name[0] != '\0' &&
	       strcmp(open->fd_name, wanted->fd_name) == 0;
}

bool
listener_serves(const struct listener *open, const struct listener *wanted)
{
	if (listener_same(open, wanted))
		return true;
	/* Whoever passed it decided how many there are. */
	if (open->passed && has_same_address(open, wanted))
		return true;
	/* Of two sockets, one for each family, each does for "*". */
	return open->passed && open->protocol == wanted->protocol &&
	       wanted->dual_stack && sockaddr_is_any(&open->bound) &&
	       sockaddr_port(&open->bound) == sockaddr_port(&wanted->wanted);
}

/*
 * 1 when a server answers at the path, 0 when the socket there is a dead one's,
 * -1 with errno when that can't be told.
 */
static int
is_path_served(const struct listener *listener)
{
	int fd = socket(AF_UNIX,
	    protocol_socket_type(listener->protocol) | SOCK_CLOEXEC |
		SOCK_NONBLOCK,
	    0);
	int rc = 1;

	if (fd == -1)
		return -1;
	if (connect(fd, &listener->bound.any, listener->bound.len) == -1) {
		if (errno == ECONNREFUSED)
			rc = 0;
		else if (errno != EAGAIN && errno != EPROTOTYPE)
			rc = -1;
	}
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return rc;
}

static int
clear_path(const struct listener *listener, char *error)
{
	const char *path = listener->bound.un.sun_path;
	struct stat status;

	if (lstat(path, &status) == -1)
		return errno == ENOENT
		         ? 0
		         : fail(listener, error, "%s", strerror(errno));
	if (!S_ISSOCK(status.st_mode)) {
		errno = EADDRINUSE;
		return fail(listener, error,
		    "the path is taken by a file that is no socket; remove it "
		    "or choose another path");
	}
	switch (is_path_served(listener)) {
	case 0:
		if (unlink(path) == 0 || errno == ENOENT)
			return 0;
		return fail(listener, error, "stale socket: %s",
		    strerror(errno));
	case 1:
		errno = EADDRINUSE;
		return fail(listener, error,
		    "the socket is served already; stop who does it or choose "
		    "another path");
	default:
		return fail(listener, error,
		    "there is a socket already, and trying it said: %s",
		    strerror(errno));
	}
}

/* By which the path is known to be ours still when it is to go. */
static void
note_path(struct listener *listener)
{
	struct stat status;

	if (stat(listener->bound.un.sun_path, &status) != 0 ||
	    !S_ISSOCK(status.st_mode))
		return;
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
}

static int
bind_unix(struct listener *listener, char *error)
{
	if (clear_path(listener, error) == -1)
		return -1;
	mode_t mask = umask(0777 & ~listener->mode);
	int rc = bind(listener->fd, &listener->bound.any, listener->bound.len);
	umask(mask);
	if (rc == -1)
		return fail(listener, error, "bind: %s", strerror(errno));
	note_path(listener);
	return 0;
}

static const char *
bind_advice(int problem)
{
	switch (problem) {
	case EADDRINUSE:
		return "; another process has this address (ss -lnp tells), "
		       "stop it or choose another port";
	case EACCES:
		return "; ports below 1024 want CAP_NET_BIND_SERVICE";
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

	if (bind(listener->fd, &bound->any, bound->len) == -1)
		return fail(listener, error, "bind: %s%s", strerror(errno),
		    bind_advice(errno));
	bound->len = sizeof(bound->storage);
	if (getsockname(listener->fd, &bound->any, &bound->len) == -1)
		return fail(listener, error, "getsockname: %s",
		    strerror(errno));
	set_name(listener, bound);
	return 0;
}

static int
make_socket(const struct listener *listener)
{
	int type = protocol_socket_type(listener->protocol) | SOCK_CLOEXEC;

	/* A datagram thread waits in recvmmsg(2), the acceptor in epoll. */
	if (!protocol_is_datagram(listener->protocol))
		type |= SOCK_NONBLOCK;
	return socket(listener->bound.any.sa_family, type, 0);
}

/* "*" on a host without IPv6. */
static void
fall_back_to_ipv4(struct listener *listener)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_port = listener->wanted.in6.sin6_port,
	};

	listener->bound.in = any;
	listener->bound.len = sizeof(any);
}

static int
share_address(struct listener *listener, struct listener *sibling)
{
	if (sibling == NULL)
		return 0;
	if (sockopt_set_shared(sibling->fd, true) == -1)
		return -1;
	return sockopt_set_shared(listener->fd, true);
}

static int
open_bound(struct listener *listener, struct listener *sibling, char *error)
{
	listener->fd = make_socket(listener);
	if (listener->fd == -1)
		return fail(listener, error, "socket: %s", strerror(errno));
	if ((listener->bound.any.sa_family == AF_INET6 &&
		sockopt_set_v6_only(listener->fd, !listener->dual_stack) ==
		    -1) ||
	    sockopt_set_up(listener->fd, listener->protocol,
		listener->bound.any.sa_family) == -1 ||
	    share_address(listener, sibling) == -1)
		return fail(listener, error, "setsockopt: %s", strerror(errno));
	if (protocol_is_unix(listener->protocol)
		? bind_unix(listener, error) == -1
		: bind_inet(listener, error) == -1)
		return -1;
	if (!protocol_is_datagram(listener->protocol) &&
	    listen(listener->fd, listener->backlog) == -1)
		return fail(listener, error, "listen: %s%s", strerror(errno),
		    bind_advice(errno));
	return 0;
}

static void
close_socket(struct listener *listener)
{
	int saved_errno = errno;

	if (listener->fd != -1)
		close(listener->fd);
	listener->fd = -1;
	errno = saved_errno;
}

int
listener_open(struct listener *listener, struct listener *sibling,
    char error[LISTENER_ERROR_MAX])
{
	/* A port that the kernel chose is that of all. */
	listener->bound = sibling != NULL ? sibling->bound : listener->wanted;
	int rc = open_bound(listener, sibling, error);
	if (rc == -1 && listener->dual_stack &&
	    (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		close_socket(listener);
		fall_back_to_ipv4(listener);
		rc = open_bound(listener, sibling, error);
	}
	if (rc == -1)
		close_socket(listener);
	return rc;
}

/*
 * What it was configured as: a port that the kernel chose says nothing of it,
 * nor does an IPv4 socket on a host without IPv6.
 */
static void
set_wanted(struct listener *listener, unsigned long traits)
{
	struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = listener->bound.in6.sin6_port,
		.sin6_addr = IN6ADDR_ANY_INIT,
	};

	listener->wanted = listener->bound;
	if ((traits & STORED_DUAL_STACK) != 0) {
		listener->dual_stack = true;
		listener->wanted.in6 = any;
		listener->wanted.len = sizeof(any);
	}
	if ((traits & STORED_ANY_PORT) != 0)
		listener->wanted.in6.sin6_port = 0;
}

static bool
is_stored_name(const char *name)
{
	return strncmp(name, STORED_NAME, strlen(STORED_NAME)) == 0;
}

/* Clients are not to wait at one that no one will accept them from. */
static void
close_passed(int fd, const char *name)
{
	if (is_stored_name(name))
		fdstore_remove(name);
	close(fd);
}

/* Sets what an adopted socket is known by, and what it needs to be served. */
static int
set_up_adopted(struct listener *listener, const char *name)
{
	struct sockaddr_any *bound = &listener->bound;
	unsigned long traits = 0;

	listener->stored = is_stored_name(name);
	snprintf(listener->fd_name, sizeof(listener->fd_name), "%s", name);
	bound->len = sizeof(bound->storage);
	if (getsockname(listener->fd, &bound->any, &bound->len) == -1)
		return -1;
	listener->dual_stack = bound->any.sa_family == AF_INET6 &&
	                       sockaddr_is_any(bound) &&
	                       !sockopt_is_v6_only(listener->fd);
	if (listener->stored)
		traits = strtoul(name + strlen(STORED_NAME), NULL, 10);
	listener->passed = !listener->stored;
	listener->early = true;
	set_wanted(listener, traits);
	listener->number = (int)(traits >> STORED_NUMBER_SHIFT);
	set_name(listener, bound);
	if (listener->stored) {
		/* Not known, so the configured ones are to be set. */
		listener->mode = (mode_t)-1;
		listener->backlog = -1;
	}
	if (protocol_is_unix(listener->protocol))
		note_path(listener);
	if (sockopt_set_blocking(listener->fd,
		protocol_is_datagram(listener->protocol)) == -1)
		return -1;
	return sockopt_set_up(listener->fd, listener->protocol,
	    bound->any.sa_family);
}

/* With errno: clients of a stored Unix socket can't reach it any more. */
static bool
is_path_lost(const struct listener *listener)
{
	struct stat status;

	if (!listener->stored || !protocol_is_unix(listener->protocol))
		return false;
	if (lstat(listener->bound.un.sun_path, &status) == -1)
		return true;
	errno = ENOTSOCK;
	return !S_ISSOCK(status.st_mode);
}

int
listener_adopt(int fd, const char *name, struct listener_list *list,
    char error[LISTENER_ERROR_MAX])
{
	int protocol = sockopt_protocol(fd);
	struct listener_config config;
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	if (protocol == -1) {
		snprintf(error, LISTENER_ERROR_MAX,
		    "%s: was passed, but is no socket that can be served: TCP, "
		    "UDP, or Unix of any type; not MPTCP, not Accept=yes",
		    name);
		close_passed(fd, name);
		errno = EPROTONOSUPPORT;
		return -1;
	}
	listener_config_default(&config, (enum protocol)protocol);
	snprintf(config.where, sizeof(config.where), "passed as %s", name);
	struct listener *listener = add_listener(&config, list, &none,
	    sizeof(none));
	if (listener == NULL) {
		snprintf(error, LISTENER_ERROR_MAX, "%s: out of memory", name);
		close_passed(fd, name);
		return -1;
	}
	listener->fd = fd;
	if (set_up_adopted(listener, name) == 0 && !is_path_lost(listener))
		return 0;
	fail(listener, error, "cannot be gone on with: %s", strerror(errno));
	listener_unstore(listener);
	TAILQ_REMOVE(list, listener, link);
	listener_free(listener);
	return -1;
}

void
listener_store(struct listener *listener)
{
	unsigned traits = listener->dual_stack ? STORED_DUAL_STACK : 0;
	uint64_t cookie;

	traits |= (unsigned)listener->number << STORED_NUMBER_SHIFT;
	if (sockaddr_port(&listener->wanted) != sockaddr_port(&listener->bound))
		traits |= STORED_ANY_PORT;
	if (listener->passed || listener->stored || fdstore_size() == 0 ||
	    sockopt_cookie(listener->fd, &cookie) == -1)
		return;
	snprintf(listener->fd_name, sizeof(listener->fd_name),
	    STORED_NAME "%u-%" PRIx64, traits, cookie);
	listener->stored = fdstore_put(listener->fd_name, listener->fd) == 0;
}

void
listener_unstore(struct listener *listener)
{
	if (listener->stored)
		fdstore_remove(listener->fd_name);
	listener->stored = false;
}

int
listener_limit_sharing(struct listener *listener)
{
	if (listener->protocol != PROTOCOL_UDP || listener->passed)
		return 0;
	return sockopt_set_shared(listener->fd, listener->threads > 1);
}

int
listener_update(struct listener *listener, const struct listener *wanted)
{
	int rc = 0;

	listener->framing = wanted->framing;
	listener->max_datagram = wanted->max_datagram;
	strcpy(listener->where, wanted->where);
	if (listener->passed)
		return 0;
	if (listener->mode != wanted->mode &&
	    protocol_is_unix(listener->protocol))
		rc |= chmod(listener->bound.un.sun_path, wanted->mode);
	listener->mode = wanted->mode;
	listener->threads = wanted->threads;
	rc |= listener_limit_sharing(listener);
	/* listen(2) on a listening socket sets its backlog anew. */
	if (listener->backlog != wanted->backlog &&
	    !protocol_is_datagram(listener->protocol))
		rc |= listen(listener->fd, wanted->backlog);
	listener->backlog = wanted->backlog;
	return rc;
}

void
listener_reset(struct listener *listener)
{
	struct listener_config config;

	listener_config_default(&config, listener->protocol);
	listener->framing = config.framing;
	listener->max_datagram = config.max_datagram;
	snprintf(listener->where, sizeof(listener->where), "passed as %s",
	    listener->fd_name);
}

void
listener_drain(struct listener *listener)
{
	listener->refusing = true;
	/* A Unix listener that is shut down refuses; its backlog stays. */
	if (listener->protocol == PROTOCOL_TCP)
		sockopt_drop_syn(listener->fd);
	else
		shutdown(listener->fd, SHUT_RDWR);
}

/* Unless another process has put its own socket there. */
static void
remove_path(const struct listener *listener)
{
	const char *path = listener->bound.un.sun_path;
	struct stat status;

	if (stat(path, &status) == 0 && status.st_dev == listener->device &&
	    status.st_ino == listener->inode)
		unlink(path);
}

void
listener_free(struct listener *listener)
{
	if (listener->fd != -1 && protocol_is_unix(listener->protocol) &&
	    !listener->passed && !listener->stored)
		remove_path(listener);
	close_socket(listener);
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
