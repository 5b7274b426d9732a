#ifndef DATAGRAM_UNIX_PEER_H
#define DATAGRAM_UNIX_PEER_H

#include <stddef.h>
#include <sys/types.h>

#include "net/sockaddr.h"

/*
 * The socket files of Unix datagram clients, held while replies go there.
 *
 * The name that a client has bound is looked up by whoever sends to it, with
 * that one's rights: relative to another folder, or through a link that was put
 * in its place, it may lead to a socket that trusts this process, such as the
 * service manager's.  So only a socket that belongs to the sender is answered,
 * and what was looked at is what is sent to.
 *
 * Owned by one thread.
 */
#define UNIX_PEER_MAX 64

struct unix_peer {
	struct sockaddr_any name; /* of the one held last, and its owner */
	uid_t owner;
	size_t count;
	int fds[UNIX_PEER_MAX];
};

/* An empty one. */
void unix_peer_init(struct unix_peer *mailbox);

/*
 * Has source, where owner sent from, lead to the file of that name as it is
 * now, until the release.  At most UNIX_PEER_MAX times between two releases.  -1
 * with errno; ENOTSOCK: there is no socket of owner's.
 */
int unix_peer_hold(struct unix_peer *mailbox, struct sockaddr_any *source,
    uid_t owner);

/* Lets go of all. */
void unix_peer_release(struct unix_peer *mailbox);

#endif
