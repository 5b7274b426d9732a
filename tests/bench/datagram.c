#include "datagram.h"

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "dialogue.h"
#include "endpoint.h"

#define BATCH DIALOGUE_NUMBERS
#define DATAGRAM_MAX 2048

struct post {
	int fd;
	unsigned out;  /* on their way */
	unsigned next; /* the number of the next request */
	uint64_t sent_ns;
	struct dialogue dialogue;
	struct mmsghdr in[BATCH], request[BATCH];
	struct iovec in_piece[BATCH], request_piece[BATCH];
	char bytes[BATCH][DATAGRAM_MAX];
};

static void
post_open(struct post *post, const struct plan *plan)
{
	struct timeval patience = { .tv_usec = DATAGRAM_PATIENCE_US };

	memset(post, 0, sizeof(*post));
	dialogue_init(&post->dialogue, plan);
	post->fd = endpoint_datagram(plan->port);
	if (setsockopt(post->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		sizeof(patience)) == -1)
		err(71, "setsockopt");
	for (int i = 0; i < BATCH; i++) {
		post->in_piece[i].iov_base = post->bytes[i];
		post->in_piece[i].iov_len = DATAGRAM_MAX;
		post->in[i].msg_hdr.msg_iov = &post->in_piece[i];
		post->in[i].msg_hdr.msg_iovlen = 1;
		post->request_piece[i].iov_base =
		    dialogue_numbered(&post->dialogue, (unsigned)i);
		post->request_piece[i].iov_len = post->dialogue.request_len;
		post->request[i].msg_hdr.msg_iov = &post->request_piece[i];
		post->request[i].msg_hdr.msg_iovlen = 1;
	}
}

static void
post_send(struct post *post, unsigned count)
{
	if (post->out == 0)
		post->sent_ns = meter_now_ns();
	while (count > 0) {
		unsigned left = BATCH - post->next;
		int n = sendmmsg(post->fd, post->request + post->next,
		    count < left ? count : left, 0);
		if (n == -1)
			err(1, "send");
		post->next = (post->next + (unsigned)n) % BATCH;
		count -= (unsigned)n;
		post->out += (unsigned)n;
	}
}

static void
post_receive(struct post *post, struct meter *meter)
{
	int n = recvmmsg(post->fd, post->in, BATCH, MSG_WAITFORONE, NULL);

	if (n == -1 && errno == EAGAIN) {
		meter->lost += post->out;
		post->out = 0;
		return;
	}
	if (n == -1)
		err(1, "receive");
	for (int i = 0; i < n; i++) {
		dialogue_check_numbered(&post->dialogue, post->bytes[i],
		    post->in[i].msg_len);
		meter->bytes += post->in[i].msg_len;
	}
	meter->messages += (unsigned)n;
	/* A reply that counted as lost may come late. */
	post->out = post->out > (unsigned)n ? post->out - (unsigned)n : 0;
}

void
datagram_run(const struct plan *plan, struct meter *meter)
{
	static struct post post;
	unsigned window = (unsigned)plan->window;

	post_open(&post, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter)) {
		post_send(&post, window - post.out);
		post_receive(&post, meter);
		/* With more than one on their way the reply can't be matched. */
		if (window == 1 && post.out == 0)
			histogram_add(&meter->latency,
			    meter_now_ns() - post.sent_ns);
	}
}
