#ifndef ENVELOPE_H
#define ENVELOPE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "arrival.h"

/*
 * What the kernel tells about a datagram besides its bytes, and is to be told
 * about the reply.  Any thread on memory of its own.
 */
struct envelope {
	size_t segment_len; /* of a burst; 0: the datagram came alone */
	bool is_to_many;    /* to a multicast or broadcast address */
	bool is_timed;
	struct timespec arrived; /* where it is */
	uid_t sender;            /* who sent it, of a Unix client */
};

/* Room for the control data of a datagram, and of its reply. */
#define ENVELOPE_MAX                                                           \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) +                              \
	    CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int)) +  \
	    ARRIVAL_SPACE)

/*
 * What a Unix datagram takes of it: no more, for a client could send descriptors,
 * and for those there is to be no room.
 */
#define ENVELOPE_UNIX CMSG_SPACE(sizeof(struct ucred))

/*
 * Reads the control data of a datagram that was received, and makes it that of
 * the reply: sent from the very address that was asked.  Closes descriptors
 * that came along.
 */
void envelope_open(struct msghdr *header, struct envelope *envelope);

/*
 * Has the kernel send what goes with header, which envelope_open has seen, as
 * datagrams of len bytes each; or no more.
 */
void envelope_set_segment(struct msghdr *header, size_t len);
void envelope_clear_segment(struct msghdr *header);

#endif
