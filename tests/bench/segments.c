#include "segments.h"

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

struct sender {
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
sender_open(struct sender *sender, const struct plan *plan)
{
	struct timeval patience = { .tv_usec = DATAGRAM_PATIENCE_US };
	int one = 1, segment = plan->size;

	memset(sender, 0, offsetof(struct sender, bytes));
	dialogue_init(&sender->dialogue, plan);
	size_t len = sender->dialogue.request_len;
	if (len * SEGMENTS > sizeof(sender->request))
		errx(64, "so many segments are too large");
	for (unsigned i = 0; i < SEGMENTS; i++)
		memcpy(sender->request + i * len,
		    dialogue_numbered(&sender->dialogue, i), len);
	sender->fd = endpoint_datagram(plan->port);
	set(sender->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	set(sender->fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	set(sender->fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
	for (int i = 0; i < BATCH; i++) {
		sender->piece[i].iov_base = sender->bytes[i];
		sender->piece[i].iov_len = GROUP_MAX;
		sender->in[i].msg_hdr.msg_iov = &sender->piece[i];
		sender->in[i].msg_hdr.msg_iovlen = 1;
		sender->in[i].msg_hdr.msg_control = sender->control[i];
	}
}

static void
sender_send(struct sender *sender)
{
	if (send(sender->fd, sender->request,
		SEGMENTS * sender->dialogue.request_len, 0) == -1)
		err(1, "send");
	sender->out += SEGMENTS;
}

/* Bytes of each segment of a buffer; the last segment may be shorter. */
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
check_group(struct sender *sender, int i)
{
	size_t len = sender->in[i].msg_len;
	size_t segment = segment_len(&sender->in[i].msg_hdr, len);
	unsigned count = 0;

	for (size_t at = 0; at < len; at += segment, count++)
		dialogue_check_numbered(&sender->dialogue,
		    sender->bytes[i] + at,
		    len - at < segment ? len - at : segment);
	return count;
}

static void
sender_receive(struct sender *sender, struct meter *meter)
{
	for (int i = 0; i < BATCH; i++)
		sender->in[i].msg_hdr.msg_controllen = sizeof(
		    sender->control[i]);
	int n = recvmmsg(sender->fd, sender->in, BATCH, MSG_WAITFORONE, NULL);
	if (n == -1 && errno == EAGAIN) {
		meter->lost += sender->out;
		sender->out = 0;
		return;
	}
	if (n == -1)
		err(1, "receive");
	for (int i = 0; i < n; i++) {
		unsigned count = check_group(sender, i);
		meter->messages += count;
		meter->bytes += sender->in[i].msg_len;
		/* A reply that counted as lost may come late. */
		sender->out -= count < sender->out ? count : sender->out;
	}
}

void
segments_run(const struct plan *plan, struct meter *meter)
{
	static struct sender sender;
	unsigned limit = (unsigned)(plan->window - 1) * SEGMENTS;

	sender_open(&sender, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter)) {
		while (sender.out <= limit)
			sender_send(&sender);
		sender_receive(&sender, meter);
	}
}
