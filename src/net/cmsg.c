#include "net/cmsg.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SPACE CMSG_SPACE(sizeof(uint16_t))
#define FDS_SIZE_MAX (CMSG_FDS_MAX * sizeof(int))

static bool
is_of_type(const struct cmsghdr *control, int level, int type)
{
	return control->cmsg_level == level && control->cmsg_type == type;
}

/* Whether control holds the address that a datagram was sent to. */
static bool
is_pktinfo(const struct cmsghdr *control)
{
	return is_of_type(control, IPPROTO_IP, IP_PKTINFO) ||
	       is_of_type(control, IPPROTO_IPV6, IPV6_PKTINFO);
}

/*
 * Makes the address that a datagram was sent to the source address of its reply
 * (IPv4 sends from ipi_spec_dst; IPv6 from ipi6_addr, which holds it already);
 * returns whether it is a multicast or broadcast address.  The route chooses
 * the interface, but a link-local address means nothing without its interface.
 */
static bool
set_reply_source(struct cmsghdr *pktinfo)
{
	if (pktinfo->cmsg_level == IPPROTO_IPV6) {
		struct in6_pktinfo *info = (void *)CMSG_DATA(pktinfo);
		if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
			info->ipi6_ifindex = 0;
		return IN6_IS_ADDR_MULTICAST(&info->ipi6_addr);
	}
	struct in_pktinfo *info = (void *)CMSG_DATA(pktinfo);
	uint32_t to = ntohl(info->ipi_addr.s_addr);
	/* For a broadcast this is another address, one of this host.  It is 0
	 * if the datagram arrived before IP_PKTINFO was set. */
	uint32_t local = ntohl(info->ipi_spec_dst.s_addr);
	info->ipi_ifindex = 0;
	info->ipi_spec_dst = info->ipi_addr;
	return IN_MULTICAST(to) || to == INADDR_BROADCAST ||
	       (local != INADDR_ANY && local != to);
}

bool
cmsg_read_arrival(const struct cmsghdr *control, struct timespec *arrived)
{
	if (!is_of_type(control, SOL_SOCKET, SO_TIMESTAMPNS))
		return false;
	memcpy(arrived, CMSG_DATA(control), sizeof(*arrived));
	return true;
}

void
cmsg_close_fds(const struct cmsghdr *control)
{
	size_t size = control->cmsg_len - CMSG_LEN(0);
	int fd;

	if (!is_of_type(control, SOL_SOCKET, SCM_RIGHTS))
		return;
	for (size_t at = 0; at + sizeof(fd) <= size; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(control) + at, sizeof(fd));
		close(fd);
	}
}

/* Reads a control message that the reply doesn't need. */
static void
read_other(const struct cmsghdr *control, struct cmsg_request *request)
{
	struct ucred sender;
	int len;

	if (is_of_type(control, IPPROTO_UDP, UDP_GRO)) {
		memcpy(&len, CMSG_DATA(control), sizeof(len));
		request->segment_len = len > 0 ? (size_t)len : 0;
	} else if (is_of_type(control, SOL_SOCKET, SCM_CREDENTIALS)) {
		memcpy(&sender, CMSG_DATA(control), sizeof(sender));
		request->sender = sender.uid;
	} else if (cmsg_read_arrival(control, &request->arrived)) {
		request->has_arrival = true;
	} else {
		cmsg_close_fds(control);
	}
}

void
cmsg_read_request(struct msghdr *header, struct cmsg_request *request)
{
	char *reply = header->msg_control, *reply_end = reply;
	struct cmsghdr *at, *next;

	*request = (struct cmsg_request){ .sender = (uid_t)-1 };
	for (at = CMSG_FIRSTHDR(header); at != NULL; at = next) {
		next = CMSG_NXTHDR(header, at);
		if (!is_pktinfo(at)) {
			read_other(at, request);
			continue;
		}
		request->is_to_many |= set_reply_source(at);
		size_t len = CMSG_ALIGN(at->cmsg_len);
		memmove(reply_end, at, len);
		reply_end += len;
	}
	header->msg_controllen = (size_t)(reply_end - reply);
}

void
cmsg_set_segment(struct msghdr *header, size_t segment_len)
{
	char *end = (char *)header->msg_control + header->msg_controllen;
	struct cmsghdr *control = (void *)end;
	uint16_t segment = (uint16_t)segment_len;

	control->cmsg_level = IPPROTO_UDP;
	control->cmsg_type = UDP_SEGMENT;
	control->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(control), &segment, sizeof(segment));
	header->msg_controllen += SEGMENT_SPACE;
}

void
cmsg_clear_segment(struct msghdr *header)
{
	header->msg_controllen -= SEGMENT_SPACE;
}

int
cmsg_send_fds(int socket, const int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(FDS_SIZE_MAX)] = { 0 };
	struct iovec piece = { (char[1]){ 0 }, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *header = (void *)control;

	assert(count <= CMSG_FDS_MAX);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Moves descriptors to fds, returns how many; 0: none, or they were closed. */
static int
take_fds(struct msghdr *message, int fds[CMSG_FDS_MAX])
{
	size_t size = 0;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
	     at = CMSG_NXTHDR(message, at)) {
		if (!is_of_type(at, SOL_SOCKET, SCM_RIGHTS))
			continue;
		size = at->cmsg_len - CMSG_LEN(0);
		if (size > FDS_SIZE_MAX || message->msg_flags & MSG_CTRUNC) {
			cmsg_close_fds(at);
			return 0;
		}
		memcpy(fds, CMSG_DATA(at), size);
	}
	return (int)(size / sizeof(int));
}

int
cmsg_receive_fds(int socket, int fds[CMSG_FDS_MAX])
{
	_Alignas(struct cmsghdr) char
	    control[CMSG_UNIX_MAX + CMSG_SPACE(FDS_SIZE_MAX)];
	struct iovec piece = { (char[1]){ 0 }, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = TEMP_FAILURE_RETRY(
	    recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));

	int count = n == -1 ? -1 : take_fds(&message, fds);
	if (n <= 0 || count > 0)
		return count;
	errno = EBADMSG;
	return -1;
}
