/*
 * datagram [addressed]
 *
 * The least code that answers datagrams, many per call; "addressed": from the
 * very address that the request was sent to.
 */

#include <err.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "loopback.h"

#define BATCH 64
#define DATAGRAM_MAX 2048
#define CONTROL_MAX CMSG_SPACE(sizeof(struct in_pktinfo))

static struct mmsghdr messages[BATCH];
static struct sockaddr_in sources[BATCH];
static struct iovec pieces[BATCH];
static _Alignas(struct cmsghdr) char controls[BATCH][CONTROL_MAX];
static char bytes[BATCH][DATAGRAM_MAX];

static void
prepare(int i, bool addressed)
{
	pieces[i].iov_base = bytes[i];
	pieces[i].iov_len = DATAGRAM_MAX;
	messages[i].msg_hdr.msg_name = &sources[i];
	messages[i].msg_hdr.msg_namelen = sizeof(sources[i]);
	messages[i].msg_hdr.msg_iov = &pieces[i];
	messages[i].msg_hdr.msg_iovlen = 1;
	messages[i].msg_hdr.msg_control = controls[i];
	messages[i].msg_hdr.msg_controllen = addressed ? CONTROL_MAX : 0;
}

int
main(int argc, char **argv)
{
	int fd = loopback_open(SOCK_DGRAM), on = argc == 2;

	(void)argv;
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == -1)
		err(71, "IP_PKTINFO");
	for (int i = 0; i < BATCH; i++)
		prepare(i, on);
	for (;;) {
		int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n == -1)
			err(71, "receive");
		for (int i = 0; i < n; i++)
			pieces[i].iov_len = messages[i].msg_len;
		/* The control message with the address also sets the source. */
		sendmmsg(fd, messages, (unsigned)n, 0);
		for (int i = 0; i < n; i++)
			prepare(i, on);
	}
}
