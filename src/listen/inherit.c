#include "listen/listener.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/sockopt.h"
#include "systemd/fdstore.h"

/*
 * A stored socket is named ".listener-TRAITS-COOKIE": what can't be asked of
 * the socket, and a number that makes the name unique.
 */
#define STORE_NAME ".listener-"
#define TRAIT_ANY_PORT 1U /* configured with port 0 */
#define TRAIT_DUAL_STACK 2U
#define TRAIT_NUMBER_SHIFT 2

static bool
is_store_name(const char *name)
{
	return strncmp(name, STORE_NAME, strlen(STORE_NAME)) == 0;
}

/*
 * Restores the address as it was configured: the kernel may have chosen the
 * port, and "*" is an IPv4 socket on a host without IPv6.
 */
static void
restore_wanted(struct listener *listener)
{
	unsigned long traits =
	    strtoul(listener->store_name + strlen(STORE_NAME), NULL, 10);

	listener->number = (int)(traits >> TRAIT_NUMBER_SHIFT);
	if ((traits & TRAIT_DUAL_STACK) != 0) {
		listener->dual_stack = true;
		listener->wanted.in6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_port = listener->bound.in6.sin6_port,
		};
		listener->wanted.len = sizeof(listener->wanted.in6);
	}
	if ((traits & TRAIT_ANY_PORT) != 0)
		listener->wanted.in6.sin6_port = 0;
}

static int
find_address(struct listener *listener)
{
	struct sockaddr_any *bound = &listener->bound;

	bound->len = sizeof(bound->storage);
	if (getsockname(listener->fd, &bound->any, &bound->len) == -1)
		return -1;
	listener->dual_stack = bound->any.sa_family == AF_INET6 &&
	                       sockaddr_is_any(bound) &&
	                       sockopt_get(listener->fd, IPPROTO_IPV6,
				   IPV6_V6ONLY) == 0;
	listener->wanted = *bound;
	if (listener->origin == ORIGIN_STORED)
		restore_wanted(listener);
	listener_rename(listener);
	return 0;
}

static int
set_up(struct listener *listener)
{
	if (find_address(listener) == -1)
		return -1;
	if (listener->origin == ORIGIN_STORED &&
	    protocol_is_unix(listener->config.protocol)) {
		listener_note_path(listener);
		errno = ENOENT;
		/* No client would find it. */
		if (listener->inode == 0)
			return -1;
	}
	if (sockopt_set_nonblocking(listener->fd) == -1)
		return -1;
	return sockopt_set_up(listener->fd, listener->config.protocol,
	    listener->bound.any.sa_family);
}

/* NULL: out of memory. */
static struct listener *
new_inherited(enum protocol protocol, int fd, const char *name)
{
	struct listener_config config;
	struct sockaddr unknown = { .sa_family = AF_UNSPEC };
	bool is_stored = is_store_name(name);

	listener_config_default(&config, protocol);
	snprintf(config.where, sizeof(config.where), "passed as %s", name);
	/* Impossible values, so that the configured ones are always set. */
	config.mode = (mode_t)-1;
	config.backlog = -1;
	config.receive_buffer = -1;
	struct listener *listener = listener_new(&config, &unknown,
	    sizeof(unknown));
	if (listener == NULL)
		return NULL;
	listener->fd = fd;
	listener->state = LISTENER_READY;
	listener->early = true;
	listener->origin = is_stored ? ORIGIN_STORED : ORIGIN_PASSED;
	if (is_stored)
		snprintf(listener->store_name, sizeof(listener->store_name),
		    "%s", name);
	return listener;
}

int
listener_inherit(int fd, const char *name, struct listener_list *list,
    char error[LISTENER_ERROR_MAX])
{
	int protocol = sockopt_protocol(fd);
	struct listener *listener = NULL;

	if (protocol != -1)
		listener = new_inherited((enum protocol)protocol, fd, name);
	if (listener == NULL) {
		snprintf(error, LISTENER_ERROR_MAX, "%s: %s", name,
		    protocol == -1 ? "was passed, but is not a socket that can "
				     "be served: TCP, UDP, or Unix of any "
				     "type; not MPTCP, not Accept=yes"
				   : "out of memory");
		/* Stored, it would let in clients that no process accepts. */
		if (is_store_name(name))
			fdstore_remove(name);
		close(fd);
		return -1;
	}
	if (set_up(listener) == 0) {
		TAILQ_INSERT_TAIL(list, listener, link);
		return 0;
	}
	listener_fail(listener, error, "cannot be served: %m");
	listener_unstore(listener);
	listener_free(listener);
	return -1;
}

void
listener_store(struct listener *listener)
{
	char name[sizeof(listener->store_name)];
	unsigned traits = (unsigned)listener->number << TRAIT_NUMBER_SHIFT;
	uint64_t cookie;

	if (listener->origin == ORIGIN_PASSED ||
	    listener->store_name[0] != '\0' || fdstore_capacity() == 0 ||
	    sockopt_cookie(listener->fd, &cookie) == -1)
		return;
	if (listener->dual_stack)
		traits |= TRAIT_DUAL_STACK;
	if (sockaddr_port(&listener->wanted) != sockaddr_port(&listener->bound))
		traits |= TRAIT_ANY_PORT;
	snprintf(name, sizeof(name), STORE_NAME "%u-%" PRIx64, traits, cookie);
	if (fdstore_put(name, listener->fd) == 0)
		strcpy(listener->store_name, name);
}

void
listener_unstore(struct listener *listener)
{
	if (listener->store_name[0] != '\0')
		fdstore_remove(listener->store_name);
	listener->store_name[0] = '\0';
}
