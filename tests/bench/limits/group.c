/*
 * The least code that answers segments: receives and sends all segments of a
 * buffer with one call.
 */

#include <err.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "loopback.h"

/* The length in UDP_GRO is an int, the one in UDP_SEGMENT has 16 bits. */
static void
answer(int fd, struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	int segment;

	if (control != NULL && control->cmsg_type == UDP_GRO) {
		memcpy(&segment, CMSG_DATA(control), sizeof(segment));
		uint16_t wanted = (uint16_t)segment;
		control->cmsg_type = UDP_SEGMENT;
		control->cmsg_len = CMSG_LEN(sizeof(wanted));
		memcpy(CMSG_DATA(control), &wanted, sizeof(wanted));
		message->msg_controllen = CMSG_SPACE(sizeof(wanted));
	}
	sendmsg(fd, message, 0);
}

int
main(void)
{
	static char bytes[65536];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	int fd = loopback_open(SOCK_DGRAM), one = 1;
	struct sockaddr_in source;

	if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)) == -1)
		err(71, "UDP_GRO");
	for (;;) {
		struct iovec piece = { bytes, sizeof(bytes) };
		struct msghdr message = {
			.msg_name = &source,
			.msg_namelen = sizeof(source),
			.msg_iov = &piece,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(fd, &message, 0);
		piece.iov_len = n > 0 ? (size_t)n : 0;
		answer(fd, &message);
	}
}
