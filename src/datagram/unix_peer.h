#ifndef DATAGRAM_UNIX_PEER_H
#define DATAGRAM_UNIX_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "datagram/mounts.h"
#include "datagram/users.h"
#include "net/sockaddr.h"

/*
 * The socket files of Unix datagram clients, held open while replies are sent.
 *
 * The server looks up a client's path with its own rights.  A relative path, or
 * a link that the client puts in place of its socket, could lead to a socket
 * that trusts the server, such as the service manager's.  So a reply is sent
 * only to a socket file of the sender, and to the very file that was checked.
 *
 * The path may also lead to a file system that does not answer, so nothing here
 * waits for one.
 *
 * Owned by one thread.  All zero: not open.
 */
#define UNIX_PEER_MAX 64
#define UNIX_PEER_FDS_MAX (UNIX_PEER_MAX + 1) /* that it may open */

struct unix_peer {
	struct sockaddr_any name; /* of the file held last, and its owner */
	uid_t owner;
	size_t count;
	int fds[UNIX_PEER_MAX];
	struct users users;
	struct mounts mounts;
};

/* unix_peer_end closes what it opens. */
void unix_peer_init(struct unix_peer *peer);
void unix_peer_end(struct unix_peer *peer);

/* Whether source is a name in the abstract namespace, and not a path. */
bool unix_peer_is_abstract(const struct sockaddr_any *source);

/*
 * Holds the socket file of source and makes source a path to exactly this file,
 * valid until unix_peer_release, before which UNIX_PEER_MAX calls are allowed.
 * -1 with errno.  ENOTSOCK: source is not a socket file of owner; EREMOTE: it
 * is not on a local file system.
 */
int unix_peer_hold(struct unix_peer *peer, struct sockaddr_any *source,
    uid_t owner);

/* Closes all files that are held. */
void unix_peer_release(struct unix_peer *peer);

#endif
