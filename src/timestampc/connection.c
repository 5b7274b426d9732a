#include "timestampc/connection.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/resolver.h"
#include "net/sockopt.h"

#define HEAD_START_MS 250
#define ADDRESS_MAX 16
/* How long a Unix datagram server may take to answer at a path. */
#define PROBE_MS 250
/* A peer that acknowledges nothing for so long is lost. */
#define USER_TIMEOUT_MS 30000
#define KEEPALIVE_S 30
/* What the headers leave of 65535 bytes: IPv6 does not count its own. */
#define UDP4_LARGEST 65507
#define UDP6_LARGEST 65527
/* What the kernel takes of the send buffer of a Unix socket. */
#define UNIX_OVERHEAD 32

/* Addresses that are tried, and the sockets of those that were begun. */
struct race {
	const struct target *target;
	size_t count, begun, open;
	struct sockaddr_any addresses[ADDRESS_MAX];
	struct pollfd sockets[ADDRESS_MAX]; /* fd -1: failed */
	int problem;                        /* errno of the last failure */
	size_t failed;                      /* the address that it was of */
};

static int
fail(struct connection *connection, int status, const char *where,
    const char *problem)
{
	snprintf(connection->problem, sizeof(connection->problem), "%s: %s",
	    where, problem);
	return status;
}

/* The number-th address of found that is of family; NULL: it has fewer. */
static const struct addrinfo *
pick(const struct addrinfo *found, sa_family_t family, size_t number)
{
	for (; found != NULL; found = found->ai_next)
		if (found->ai_family == family && number-- == 0)
			return found;
	return NULL;
}

static void
add(struct race *race, const struct addrinfo *found)
{
	struct sockaddr_any *address = &race->addresses[race->count];

	if (found == NULL || race->count == ADDRESS_MAX)
		return;
	address->len = found->ai_addrlen;
	memcpy(&address->any, found->ai_addr, found->ai_addrlen);
	race->count++;
}

/* The families take turns, beginning with that of the first address. */
static void
add_all(struct race *race, const struct addrinfo *found)
{
	bool v6_first = found->ai_family == AF_INET6;
	sa_family_t families[2] = { v6_first ? AF_INET6 : AF_INET,
		v6_first ? AF_INET : AF_INET6 };
	sa_family_t only = race->target->family;

	for (size_t number = 0; number < ADDRESS_MAX; number++)
		for (size_t i = 0; i < 2; i++)
			if (only == AF_UNSPEC || only == families[i])
				add(race, pick(found, families[i], number));
}

static int
resolve(struct race *race, struct connection *connection, uint64_t deadline_ms)
{
	const struct target *target = race->target;
	struct addrinfo *found = NULL;
	int problem = resolver_find(target->host, target->port,
	    protocol_socket_type(target->protocol), deadline_ms, &found);

	if (problem != 0)
		return fail(connection, EX_NOHOST, target->host,
		    problem == EAI_SYSTEM ? strerror(errno)
					  : gai_strerror(problem));
	add_all(race, found);
	freeaddrinfo(found);
	if (race->count == 0)
		return fail(connection, EX_NOHOST, target->host,
		    "no address of this family");
	return 0;
}

static void
lose(struct race *race, size_t i, int problem)
{
	if (race->sockets[i].fd != -1) {
		close(race->sockets[i].fd);
		race->open--;
	}
	race->sockets[i].fd = -1;
	race->failed = i;
	race->problem = problem;
}

/* Whether the socket of the next address is connected already. */
static bool
begin_next(struct race *race)
{
	size_t i = race->begun++;
	const struct sockaddr_any *address = &race->addresses[i];
	int type = protocol_socket_type(race->target->protocol);
	int fd = socket(address->any.sa_family,
	    type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	race->sockets[i] = (struct pollfd){ fd, POLLOUT, 0 };
	if (fd == -1) {
		lose(race, i, errno);
		return false;
	}
	race->open++;
	if (connect(fd, &address->any, address->len) == 0)
		return true;
	if (errno != EINPROGRESS)
		lose(race, i, errno);
	return false;
}

/* Looks at the sockets that are ready; the index of a connected one or -1. */
static int
find_connected(struct race *race)
{
	for (size_t i = 0; i < race->begun; i++) {
		struct pollfd *socket = &race->sockets[i];

		if (socket->fd == -1 || socket->revents == 0)
			continue;
		int problem = sockopt_get(socket->fd, SOL_SOCKET, SO_ERROR);
		if (problem == 0)
			return (int)i;
		lose(race, i, problem);
	}
	return -1;
}

/* The index of the first address that is connected; -1: none in time. */
static int
run_race(struct race *race, uint64_t deadline_ms)
{
	uint64_t next_ms = 0;

	race->problem = ETIMEDOUT;
	for (;;) {
		uint64_t now = clock_ms();
		bool more = race->begun < race->count;
		if (more && (race->open == 0 || now >= next_ms)) {
			if (begin_next(race))
				return (int)race->begun - 1;
			next_ms = now + HEAD_START_MS;
			continue;
		}
		if (race->open == 0 || now >= deadline_ms)
			return -1;
		uint64_t until = more && next_ms < deadline_ms ? next_ms
		                                               : deadline_ms;
		if (poll(race->sockets, race->begun, (int)(until - now)) > 0) {
			int winner = find_connected(race);
			if (winner != -1)
				return winner;
		}
	}
}

static void
set_up_tcp(int fd)
{
	sockopt_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	sockopt_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	sockopt_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	sockopt_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
	sockopt_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S / 3);
}

static int
open_inet(struct connection *connection, const struct target *target,
    uint64_t deadline_ms)
{
	struct race race = { .target = target };
	char text[SOCKADDR_TEXT_MAX];
	int status = resolve(&race, connection, deadline_ms);

	if (status != 0)
		return status;
	/* The first UDP socket always wins. */
	if (target->protocol == PROTOCOL_UDP) {
		connection->addresses = race.count;
		race.addresses[0] =
		    race.addresses[connection->skip % race.count];
		race.count = 1;
	}
	int winner = run_race(&race, deadline_ms);
	for (size_t i = 0; i < race.begun; i++)
		if ((int)i != winner && race.sockets[i].fd != -1)
			close(race.sockets[i].fd);
	if (winner == -1)
		return fail(connection, EX_UNAVAILABLE,
		    sockaddr_text(&race.addresses[race.failed], false, text,
			sizeof(text)),
		    strerror(race.problem));
	connection->fd = race.sockets[winner].fd;
	connection->peer = race.addresses[winner];
	if (target->protocol == PROTOCOL_TCP)
		set_up_tcp(connection->fd);
	return 0;
}

static int
connect_unix(struct connection *connection, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	connection->fd = fd;
	if (fd == -1)
		return -1;
	return connect(fd, &connection->peer.any, connection->peer.len);
}

/* Binds to a path in a folder of our own that the server can reach. */
static int
bind_path(struct connection *connection)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };

	strcpy(connection->folder, "/tmp/timestampc.XXXXXX");
	if (mkdtemp(connection->folder) == NULL) {
		connection->folder[0] = '\0';
		return -1;
	}
	snprintf(own.sun_path, sizeof(own.sun_path), "%s/socket",
	    connection->folder);
	if (bind(connection->fd, (struct sockaddr *)&own, sizeof(own)) == -1 ||
	    chmod(own.sun_path, 0666) == -1)
		return -1;
	return chmod(connection->folder, 0711);
}

/* Whether an empty datagram is answered. */
static bool
probe(int fd)
{
	struct pollfd readable = { fd, POLLIN, 0 };

	if (send(fd, "", 0, MSG_NOSIGNAL) == -1 ||
	    poll(&readable, 1, PROBE_MS) <= 0)
		return false;
	char reply;
	return recv(fd, &reply, sizeof(reply), 0) > 0;
}

/* A socket with a name in a folder of our own, or with an abstract name. */
static int
connect_named(struct connection *connection, bool is_path)
{
	sa_family_t unnamed = AF_UNIX; /* bind(2) finds a free abstract name */

	connection_close(connection);
	if (connect_unix(connection, SOCK_DGRAM) == -1)
		return -1;
	if (is_path)
		return bind_path(connection);
	return bind(connection->fd, (struct sockaddr *)&unnamed,
	    sizeof(unnamed));
}

/*
 * Most servers answer a path of the sender's own.  Where the server does not
 * see the path or the user, in a file system or a user namespace of its own, it
 * may answer an abstract name; any server that checks nothing does.  If neither
 * is answered in time, the server may be slow: the caller's next attempt has
 * the other one.  It is a new socket, to which no late reply to a probe comes.
 */
static int
connect_unix_dgram(struct connection *connection)
{
	bool path_first = connection->skip % 2 == 0;

	connection->addresses = 2;
	for (int abstract = 0; abstract < 2; abstract++)
		if (connect_named(connection, !abstract) == 0 &&
		    probe(connection->fd))
			return 0;
	if (path_first && connect_named(connection, true) == 0)
		return 0;
	return connect_named(connection, false);
}

static int
open_unix(struct connection *connection, const struct target *target)
{
	struct sockaddr_any *peer = &connection->peer;
	int type = protocol_socket_type(target->protocol);

	peer->un.sun_family = AF_UNIX;
	strcpy(peer->un.sun_path, target->path);
	peer->len = sizeof(peer->un);
	int status = type == SOCK_DGRAM ? connect_unix_dgram(connection)
	                                : connect_unix(connection, type);
	if (status == 0)
		return 0;
	int problem = errno;
	connection_close(connection);
	return fail(connection, EX_UNAVAILABLE, target->path,
	    strerror(problem));
}

int
connection_open(struct connection *connection, const struct target *target,
    uint64_t deadline_ms)
{
	*connection = (struct connection){ .fd = -1, .skip = connection->skip };
	if (protocol_is_unix(target->protocol))
		return open_unix(connection, target);
	return open_inet(connection, target, deadline_ms);
}

size_t
connection_largest(const struct connection *connection)
{
	if (connection->peer.any.sa_family == AF_INET)
		return UDP4_LARGEST;
	if (connection->peer.any.sa_family == AF_INET6)
		return UDP6_LARGEST;
	return (size_t)sockopt_get(connection->fd, SOL_SOCKET, SO_SNDBUF) -
	       UNIX_OVERHEAD;
}

void
connection_close(struct connection *connection)
{
	char path[sizeof(connection->folder) + sizeof("/socket")];

	if (connection->fd != -1)
		close(connection->fd);
	connection->fd = -1;
	if (connection->folder[0] == '\0')
		return;
	snprintf(path, sizeof(path), "%s/socket", connection->folder);
	unlink(path);
	rmdir(connection->folder);
	connection->folder[0] = '\0';
}
