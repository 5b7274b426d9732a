#ifndef MAILBOX_H
#define MAILBOX_H

#include <stddef.h>
#include <sys/types.h>

#include "address.h"

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
#define MAILBOX_MAX 64

struct mailbox {
	struct address name; /* of the one held last, and its owner */
	uid_t owner;
	size_t count;
	int fds[MAILBOX_MAX];
};

/* An empty one. */
void mailbox_init(struct mailbox *mailbox);

/*
 * Has source, where owner sent from, lead to the file of that name as it is
 * now, until the release.  At most MAILBOX_MAX times between two releases.  -1
 * with errno; ENOTSOCK: there is no socket of owner's.
 */
int mailbox_hold(struct mailbox *mailbox, struct address *source, uid_t owner);

/* Lets go of all. */
void mailbox_release(struct mailbox *mailbox);

#endif
