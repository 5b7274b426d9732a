#include "envelope.h"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <string.h>

#include "rights.h"

#define SEGMENT_SPACE CMSG_SPACE(sizeof(uint16_t))

/*
 * There is no answering from a broadcast address, and the send fails.  The
 * route chooses the interface, but for an address that only means something on
 * its own.
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
read_segment(const struct cmsghdr *control)
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

static bool
is_address(const struct cmsghdr *control)
{
	return (control->cmsg_level == IPPROTO_IP &&
		   control->cmsg_type == IP_PKTINFO) ||
	       (control->cmsg_level == IPPROTO_IPV6 &&
		   control->cmsg_type == IPV6_PKTINFO);
}

/* Whether it is a multicast or broadcast address. */
static bool
is_of_many(const struct cmsghdr *control)
{
	if (control->cmsg_level == IPPROTO_IPV6) {
		const struct in6_pktinfo *info = (void *)CMSG_DATA(control);
		return IN6_IS_ADDR_MULTICAST(&info->ipi6_addr);
	}
	const struct in_pktinfo *info = (void *)CMSG_DATA(control);
	uint32_t to = ntohl(info->ipi_addr.s_addr);
	if (IN_MULTICAST(to) || to == INADDR_BROADCAST)
		return true;
	/* For any but one of the host's the kernel names one; it names none
	 * for a datagram that came before it was asked to. */
	return info->ipi_spec_dst.s_addr != INADDR_ANY &&
	       info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr;
}

void
envelope_open(struct msghdr *header, struct envelope *envelope)
{
	struct cmsghdr *at, *next;
	char *kept = header->msg_control;

	envelope->segment_len = 0;
	envelope->is_timed = false;
	envelope->sender = (uid_t)-1; /* owns no file */
	envelope->is_to_many = false;
	for (at = CMSG_FIRSTHDR(header); at != NULL; at = next) {
		next = CMSG_NXTHDR(header, at);
		if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
			envelope->segment_len = read_segment(at);
		} else if (is_address(at)) {
			size_t len = CMSG_ALIGN(at->cmsg_len);
			envelope->is_to_many |= is_of_many(at);
			clear_interface(at);
			if (kept != (char *)at)
				memmove(kept, at, len);
			kept += len;
		} else if (arrival_read(at, &envelope->arrived)) {
			envelope->is_timed = true;
		} else {
			read_sender(at, &envelope->sender);
			rights_close(at);
		}
	}
	header->msg_controllen = (size_t)(kept - (char *)header->msg_control);
}

void
envelope_set_segment(struct msghdr *header, size_t len)
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
envelope_clear_segment(struct msghdr *header)
{
	header->msg_controllen -= SEGMENT_SPACE;
}
