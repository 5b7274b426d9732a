#include "burst.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "datagram.h"
#include "dialogue.h"
#include "endpoint.h"

#define BATCH 64
#define GROUP_MAX 65536
#define REQUEST_MAX 65000

struct gunner {
	int fd;
	unsigned out; /* datagrams on their way */
	struct dialogue dialogue;
	char request[REQUEST_MAX];
	struct mmsghdr in[BATCH];
	struct iovec piece[BATCH];
	_Alignas(struct cmsghdr) char control[BATCH][CMSG_SPACE(sizeof(int))];
	char bytes[BATCH][GROUP_MAX];
};

static void
set(int fd, int level, int name, const void *value, socklen_t len)
{
	if (setsockopt(fd, level, name, value, len) == -1)
		err(71, "setsockopt");
}

static void
gunner_open(struct gunner *gunner, const struct plan *plan)
{
	struct timeval patience = { .tv_usec = DATAGRAM_PATIENCE_US };
	int one = 1, segment = plan->size;

	memset(gunner, 0, offsetof(struct gunner, bytes));
	dialogue_init(&gunner->dialogue, plan);
	size_t len = gunner->dialogue.request_len;
	if (len * BURST_LEN > sizeof(gunner->request))
		errx(64, "such a burst is too large");
	for (size_t i = 0; i < BURST_LEN; i++)
		memcpy(gunner->request + i * len, gunner->dialogue.request,
		    len);
	gunner->fd = endpoint_datagram(plan->port);
	set(gunner->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	set(gunner->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	set(gunner->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	for (int i = 0; i < BATCH; i++) {
		gunner->piece[i].iov_base = gunner->bytes[i];
		gunner->piece[i].iov_len = GROUP_MAX;
		gunner->in[i].msg_hdr.msg_iov = &gunner->piece[i];
		gunner->in[i].msg_hdr.msg_iovlen = 1;
		gunner->in[i].msg_hdr.msg_control = gunner->control[i];
	}
}

static void
gunner_fire(struct gunner *gunner)
{
	if (send(gunner->fd, gunner->request,
		BURST_LEN * gunner->dialogue.request_len, 0) == -1)
		err(1, "send");
	gunner->out += BURST_LEN;
}

/* Bytes of each datagram of a group; the last may be shorter. */
static size_t
segment_len(struct msghdr *header, size_t len)
{
	int segment;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at != NULL;
	     at = CMSG_NXTHDR(header, at))
		if (at->cmsg_level == IPPROTO_UDP && at->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(at), sizeof(segment));
			return (size_t)segment;
		}
	return len;
}

static unsigned
check_group(struct gunner *gunner, int i)
{
	size_t len = gunner->in[i].msg_len;
	size_t segment = segment_len(&gunner->in[i].msg_hdr, len);
	unsigned count = 0;

	for (size_t at = 0; at < len; at += segment, count++)
		dialogue_check(&gunner->dialogue, gunner->bytes[i] + at,
		    len - at < segment ? len - at : segment);
	return count;
}

static void
gunner_receive(struct gunner *gunner, struct meter *meter)
{
	for (int i = 0; i < BATCH; i++)
		gunner->in[i].msg_hdr.msg_controllen = sizeof(
		    gunner->control[i]);
	int n = recvmmsg(gunner->fd, gunner->in, BATCH, MSG_WAITFORONE, NULL);
	if (n == -1 && errno == EAGAIN) {
		meter->lost += gunner->out;
		gunner->out = 0;
		return;
	}
	if (n == -1)
		err(1, "receive");
	for (int i = 0; i < n; i++) {
		unsigned count = check_group(gunner, i);
		meter->messages += count;
		meter->bytes += gunner->in[i].msg_len;
		/* One that was given up may come late. */
		gunner->out -= count < gunner->out ? count : gunner->out;
	}
}

void
burst_run(const struct plan *plan, struct meter *meter)
{
	static struct gunner gunner;
	unsigned limit = (unsigned)(plan->window - 1) * BURST_LEN;

	gunner_open(&gunner, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter)) {
		while (gunner.out <= limit)
			gunner_fire(&gunner);
		gunner_receive(&gunner, meter);
	}
}
