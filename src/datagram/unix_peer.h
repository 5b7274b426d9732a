#ifndef DATAGRAM_UNIX_PEER_H
#define DATAGRAM_UNIX_PEER_H

#include <stddef.h>
#include <sys/types.h>

#include "net/sockaddr.h"

/*
 * The socket files of Unix datagram clients, held open while replies are sent.
 *
 * A path that a client is bound to is looked up with the rights of the server
 * that sends there.  A relative path, or a link that the client has put in place
 * of its socket, could lead to a socket that trusts the server, such as that of
 * the service manager.  So a reply is sent only to a socket file that belongs to
 * the sender, and to the very file that was checked.
 *
 * Owned by one thread.  All zero: nothing is held.
 */
#define UNIX_PEER_MAX 64

struct unix_peer {
	struct sockaddr_any name; /* of the file held last */
	uid_t owner;              /* of the file held last */
	size_t count;
	int fds[UNIX_PEER_MAX];
};

/*
 * Holds the socket file source, from which a socket of owner has sent, and makes
 * source a path to exactly this file, valid until unix_peer_release.  May be
 * called UNIX_PEER_MAX times between two releases.  -1 with errno; ENOTSOCK:
 * source is not a socket file of owner.
 */
int unix_peer_hold(struct unix_peer *peer, struct sockaddr_any *source,
    uid_t owner);

/* Closes all files that are held. */
void unix_peer_release(struct unix_peer *peer);

#endif
