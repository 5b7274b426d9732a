#include "net/cmsg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SPACE CMSG_SPACE(sizeof(uint16_t))

/*
 * A reply can't be sent from a broadcast address.  The route chooses the
 * interface, except for a link-local address, which is valid on its own only.
 */
static void
clear_interface(struct cmsghdr *control)
{
	if (control->cmsg_level == IPPROTO_IP) {
		struct in_pktinfo *info = (void *)CMSG_DATA(control);
		info->ipi_ifindex = 0;
		info->ipi_spec_dst = info->ipi_addr;
	} else {
		struct in6_pktinfo *info = (void *)CMSG_DATA(control);
		if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
			info->ipi6_ifindex = 0;
	}
}

static size_t
read_segment_len(const struct cmsghdr *control)
{
	int len;

	memcpy(&len, CMSG_DATA(control), sizeof(len));
	return len > 0 ? (size_t)len : 0;
}

static void
read_sender(const struct cmsghdr *control, uid_t *sender)
{
	struct ucred credentials;

	if (control->cmsg_level == SOL_SOCKET &&
	    control->cmsg_type == SCM_CREDENTIALS) {
		memcpy(&credentials, CMSG_DATA(control), sizeof(credentials));
		*sender = credentials.uid;
	}
}

bool
cmsg_read_arrival(const struct cmsghdr *control, struct timespec *arrived)
{
	if (control->cmsg_level != SOL_SOCKET ||
	    control->cmsg_type != SO_TIMESTAMPNS)
		return false;
	memcpy(arrived, CMSG_DATA(control), sizeof(*arrived));
	return true;
}

void
cmsg_close_fds(const struct cmsghdr *control)
{
	size_t len = control->cmsg_len - CMSG_LEN(0);
	int fd;

	if (control->cmsg_level != SOL_SOCKET ||
	    control->cmsg_type != SCM_RIGHTS)
		return;
	for (size_t at = 0; at + sizeof(fd) <= len; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(control) + at, sizeof(fd));
		close(fd);
	}
}

static bool
is_destination(const struct cmsghdr *control)
{
	return (control->cmsg_level == IPPROTO_IP &&
		   control->cmsg_type == IP_PKTINFO) ||
	       (control->cmsg_level == IPPROTO_IPV6 &&
		   control->cmsg_type == IPV6_PKTINFO);
}

/* Whether it is a multicast or broadcast address. */
static bool
is_to_many(const struct cmsghdr *control)
{
	if (control->cmsg_level == IPPROTO_IPV6) {
		const struct in6_pktinfo *info = (void *)CMSG_DATA(control);
		return IN6_IS_ADDR_MULTICAST(&info->ipi6_addr);
	}
	const struct in_pktinfo *info = (void *)CMSG_DATA(control);
	uint32_t to = ntohl(info->ipi_addr.s_addr);
	if (IN_MULTICAST(to) || to == INADDR_BROADCAST)
		return true;
	/* Another local address in ipi_spec_dst: a broadcast.  It is 0 for a
	 * datagram that came before IP_PKTINFO was set. */
	return info->ipi_spec_dst.s_addr != INADDR_ANY &&
	       info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr;
}

void
cmsg_read(struct msghdr *header, struct cmsg_info *info)
{
	struct cmsghdr *at, *next;
	char *kept = header->msg_control;

	info->segment_len = 0;
	info->has_arrival = false;
	info->sender = (uid_t)-1; /* a user that owns no file */
	info->is_to_many = false;
	for (at = CMSG_FIRSTHDR(header); at != NULL; at = next) {
		next = CMSG_NXTHDR(header, at);
		if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
			info->segment_len = read_segment_len(at);
		} else if (is_destination(at)) {
			size_t len = CMSG_ALIGN(at->cmsg_len);
			info->is_to_many |= is_to_many(at);
			clear_interface(at);
			if (kept != (char *)at)
				memmove(kept, at, len);
			kept += len;
		} else if (cmsg_read_arrival(at, &info->arrived)) {
			info->has_arrival = true;
		} else {
			read_sender(at, &info->sender);
			cmsg_close_fds(at);
		}
	}
	header->msg_controllen = (size_t)(kept - (char *)header->msg_control);
}

void
cmsg_set_segment(struct msghdr *header, size_t len)
{
	char *end = (char *)header->msg_control + header->msg_controllen;
	struct cmsghdr *control = (void *)end;
	uint16_t segment = (uint16_t)len;

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
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(CMSG_FDS_MAX * sizeof(int))];
	char byte = 0;
	struct iovec piece = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	struct cmsghdr *header = (void *)control;

	memset(control, 0, sizeof(control));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int
cmsg_receive_fds(int socket, int fds[CMSG_FDS_MAX])
{
	_Alignas(struct cmsghdr) char
	    control[CMSG_SPACE(CMSG_FDS_MAX * sizeof(int))];
	char byte;
	struct iovec piece = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do
		n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return (int)n;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS) {
		errno = EBADMSG;
		return -1;
	}
	size_t size = header->cmsg_len - CMSG_LEN(0);
	memcpy(fds, CMSG_DATA(header), size);
	return (int)(size / sizeof(int));
}
