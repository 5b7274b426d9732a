/* The least that answers datagrams, many at a call. */

#include <err.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "loopback.h"

#define BATCH 64
#define DATAGRAM_MAX 2048

static struct mmsghdr messages[BATCH];
static struct sockaddr_in sources[BATCH];
static struct iovec pieces[BATCH];
static char bytes[BATCH][DATAGRAM_MAX];

static void
prepare(int i)
{
	pieces[i].iov_base = bytes[i];
	pieces[i].iov_len = DATAGRAM_MAX;
	messages[i].msg_hdr.msg_name = &sources[i];
	messages[i].msg_hdr.msg_namelen = sizeof(sources[i]);
	messages[i].msg_hdr.msg_iov = &pieces[i];
	messages[i].msg_hdr.msg_iovlen = 1;
}

int
main(void)
{
	int fd = loopback_open(SOCK_DGRAM);

	for (int i = 0; i < BATCH; i++)
		prepare(i);
	for (;;) {
		int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		if (n == -1)
			err(71, "receive");
		for (int i = 0; i < n; i++)
			pieces[i].iov_len = messages[i].msg_len;
		sendmmsg(fd, messages, (unsigned)n, 0);
		for (int i = 0; i < n; i++)
			prepare(i);
	}
}
