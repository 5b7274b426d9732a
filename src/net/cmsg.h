#ifndef NET_CMSG_H
#define NET_CMSG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/*
 * Control messages (cmsg(3)): what the kernel says about received data, and is
 * told about data to send.  Any thread, on memory of its own.
 */

/* What the control messages of a received datagram say. */
struct cmsg_request {
	size_t segment_len; /* UDP_GRO: bytes of each datagram; 0: only one */
	bool is_to_many; /* it was sent to a multicast or broadcast address */
	bool has_arrival;
	struct timespec arrived; /* if has_arrival: CLOCK_REALTIME */
	uid_t sender; /* user ID, of a Unix datagram; otherwise (uid_t)-1 */
};

/* Space for the time at which the kernel received data. */
#define CMSG_ARRIVAL_SPACE CMSG_SPACE(sizeof(struct timespec))

/* Space for the control messages of a UDP datagram, and of its reply. */
#define CMSG_UDP_MAX                                                           \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) +                              \
	    CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int)) +  \
	    CMSG_ARRIVAL_SPACE)

/*
 * Exactly the space for the control messages of a Unix datagram: the kernel
 * drops descriptors that a client sends along only if they don't fit.
 */
#define CMSG_UNIX_MAX CMSG_SPACE(sizeof(struct ucred))

/*
 * Reads the control messages of a received datagram and leaves in header those
 * of its reply: the source address of the reply, which is the address that the
 * datagram was sent to.  Closes descriptors that a client has sent along.
 */
void cmsg_read_request(struct msghdr *header, struct cmsg_request *request);

/*
 * Adds UDP_SEGMENT to what cmsg_read_request left, so that the kernel sends the
 * data as datagrams of segment_len bytes each; or removes it.
 */
void cmsg_set_segment(struct msghdr *header, size_t segment_len);
void cmsg_clear_segment(struct msghdr *header);

/* Whether control holds the time at which data arrived (SO_TIMESTAMPNS). */
bool cmsg_read_arrival(const struct cmsghdr *control, struct timespec *arrived);

/* Closes the descriptors in control, if it holds any. */
void cmsg_close_fds(const struct cmsghdr *control);

/* Descriptors in one record; the kernel takes at most 253 (SCM_MAX_FD). */
#define CMSG_FDS_MAX 250

/*
 * Sends count descriptors, at most CMSG_FDS_MAX, as one record of socket; the
 * caller still owns them.  -1 with errno.
 */
int cmsg_send_fds(int socket, const int *fds, size_t count);

/*
 * Receives the next record of descriptors, which the caller then owns; doesn't
 * wait.  Returns their number, 0 at the end, or -1 with errno: EAGAIN if the
 * next record has not arrived yet, EBADMSG for a record without descriptors or
 * with more than CMSG_FDS_MAX; these are closed.
 */
int cmsg_receive_fds(int socket, int fds[CMSG_FDS_MAX]);

#endif
