#include "ping/timestamping.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Times and, of what was sent, the key with the address that comes along. */
#define CONTROL_MAX                                                            \
	(CMSG_SPACE(sizeof(struct scm_timestamping)) +                         \
	    CMSG_SPACE(sizeof(struct sock_extended_err) +                      \
		       sizeof(struct sockaddr_in6)))

int
timestamping_enable(int fd)
{
	int flags = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
	            SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID |
	            SOF_TIMESTAMPING_OPT_TSONLY;

	return setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
	    sizeof(flags));
}

int
timestamping_restart(int fd)
{
	int flags = 0;

	/* The keys begin at 0 when they are switched on, not while they are. */
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
		sizeof(flags)) == -1)
		return -1;
	return timestamping_enable(fd);
}

/* 0 if control is not of a time. */
static int64_t
read_time(const struct cmsghdr *control)
{
	struct scm_timestamping times;

	if (control->cmsg_level != SOL_SOCKET ||
	    control->cmsg_type != SO_TIMESTAMPING)
		return 0;
	memcpy(&times, CMSG_DATA(control), sizeof(times));
	return times.ts[0].tv_sec * INT64_C(1000000000) + times.ts[0].tv_nsec;
}

static bool
read_key(const struct cmsghdr *control, uint32_t *key)
{
	struct sock_extended_err error;

	if (!(control->cmsg_level == IPPROTO_IP &&
		control->cmsg_type == IP_RECVERR) &&
	    !(control->cmsg_level == IPPROTO_IPV6 &&
		control->cmsg_type == IPV6_RECVERR))
		return false;
	memcpy(&error, CMSG_DATA(control), sizeof(error));
	*key = error.ee_data;
	return error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
}

bool
timestamping_sent(int fd, uint32_t *key, int64_t *sent_ns)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct msghdr header = { .msg_control = control,
		.msg_controllen = sizeof(control) };
	bool has_key = false;

	if (TEMP_FAILURE_RETRY(
		recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT)) == -1)
		return false;
	*sent_ns = 0;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at != NULL;
	     at = CMSG_NXTHDR(&header, at)) {
		has_key |= read_key(at, key);
		*sent_ns += read_time(at);
	}
	if (!has_key)
		*sent_ns = 0;
	return true;
}

ssize_t
timestamping_receive(int fd, char *buffer, size_t size, int64_t *received_ns)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	struct iovec piece = { buffer, size };
	struct msghdr header = { .msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(fd, &header, MSG_DONTWAIT));

	*received_ns = 0;
	if (n == -1)
		return -1;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&header); at != NULL;
	     at = CMSG_NXTHDR(&header, at))
		*received_ns += read_time(at);
	return n;
}
