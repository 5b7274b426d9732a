#ifndef NET_CMSG_H
#define NET_CMSG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/*
 * Control messages (cmsg(3)): what the kernel tells about data besides its
 * bytes, and what it is told about a reply.  Any thread, on memory of its own.
 */

/* What the control messages of a datagram say. */
struct cmsg_info {
	size_t segment_len; /* UDP_GRO; 0: the datagram came alone */
	bool is_to_many;    /* to a multicast or broadcast address */
	bool has_arrival;
	struct timespec arrived; /* if has_arrival: CLOCK_REALTIME */
	uid_t sender;            /* of a Unix datagram */
};

/* Space for the time at which the kernel received data. */
#define CMSG_ARRIVAL_SPACE CMSG_SPACE(sizeof(struct timespec))

/* Space for the control messages of a UDP datagram, and of its reply. */
#define CMSG_UDP_MAX                                                           \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) +                              \
	    CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int)) +  \
	    CMSG_ARRIVAL_SPACE)

/*
 * Space for those of a Unix datagram, and not a byte more: a client could send
 * descriptors, and there must be no space for them.
 */
#define CMSG_UNIX_MAX CMSG_SPACE(sizeof(struct ucred))

/*
 * Reads the control messages of a received datagram, and leaves in header those
 * that the reply needs: the address to send it from.  Closes descriptors that
 * came along.
 */
void cmsg_read(struct msghdr *header, struct cmsg_info *info);

/*
 * Adds UDP_SEGMENT to a header that cmsg_read has seen, so that the kernel sends
 * its data as datagrams of len bytes each; or removes it.
 */
void cmsg_set_segment(struct msghdr *header, size_t len);
void cmsg_clear_segment(struct msghdr *header);

/* Whether control is the arrival time of data (SO_TIMESTAMPNS). */
bool cmsg_read_arrival(const struct cmsghdr *control, struct timespec *arrived);

/* Closes the descriptors in control, if it holds any. */
void cmsg_close_fds(const struct cmsghdr *control);

/* The kernel takes at most 253 at once, SCM_MAX_FD. */
#define CMSG_FDS_MAX 250

/* Sends count descriptors as one record of socket; -1 with errno. */
int cmsg_send_fds(int socket, const int *fds, size_t count);

/*
 * Receives the next record of descriptors without waiting: their number; 0 at
 * the end; -1 with errno, EAGAIN when none is there.
 */
int cmsg_receive_fds(int socket, int fds[CMSG_FDS_MAX]);

#endif
