#include "pingpong.h"

#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialogue.h"
#include "endpoint.h"

#define EVENTS_MAX 256
#define WAIT_MS 100

struct ping {
	int fd;
	size_t received; /* of the reply */
	uint64_t sent_ns;
};

struct pingpong {
	int epoll_fd;
	struct ping *pings;
	struct dialogue dialogue;
	struct meter *meter;
	char buffer[65536];
};

static void
say(struct pingpong *pingpong, struct ping *ping, uint64_t now_ns)
{
	size_t len = pingpong->dialogue.request_len;
	ssize_t n = send(ping->fd, pingpong->dialogue.request, len,
	    MSG_NOSIGNAL);

	if (n != (ssize_t)len)
		err(1, "send");
	ping->received = 0;
	ping->sent_ns = now_ns;
}

static void
hear(struct pingpong *pingpong, struct ping *ping)
{
	struct meter *meter = pingpong->meter;
	ssize_t n = recv(ping->fd, pingpong->buffer, sizeof(pingpong->buffer),
	    MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		err(1, n == 0 ? "the server closed a connection" : "receive");
	dialogue_check_part(&pingpong->dialogue, ping->received,
	    pingpong->buffer, (size_t)n);
	ping->received += (size_t)n;
	meter->bytes += (size_t)n;
	if (ping->received < dialogue_len(&pingpong->dialogue))
		return;
	uint64_t now_ns = meter_now_ns();
	histogram_add(&meter->latency, now_ns - ping->sent_ns);
	meter->messages++;
	say(pingpong, ping, now_ns);
}

static void
open_one(struct pingpong *pingpong, struct ping *ping, int port, int number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = ping };

	ping->fd = endpoint_stream(port, (unsigned)number);
	if (epoll_ctl(pingpong->epoll_fd, EPOLL_CTL_ADD, ping->fd, &event) ==
	    -1)
		err(71, "epoll_ctl");
	say(pingpong, ping, meter_now_ns());
}

static void
pingpong_open(struct pingpong *pingpong, const struct plan *plan,
    struct meter *meter)
{
	memset(pingpong, 0, sizeof(*pingpong));
	dialogue_init(&pingpong->dialogue, plan);
	pingpong->meter = meter;
	pingpong->pings = calloc((size_t)plan->connections,
	    sizeof(*pingpong->pings));
	pingpong->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pingpong->pings == NULL || pingpong->epoll_fd == -1)
		err(71, "connections");
	for (int i = 0; i < plan->connections; i++)
		open_one(pingpong, &pingpong->pings[i], plan->port, i);
}

static void
pingpong_step(struct pingpong *pingpong)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(pingpong->epoll_fd, events, EVENTS_MAX, WAIT_MS);

	for (int i = 0; i < n; i++)
		hear(pingpong, events[i].data.ptr);
}

void
pingpong_run(const struct plan *plan, struct meter *meter)
{
	static struct pingpong pingpong;

	pingpong_open(&pingpong, plan, meter);
	meter_start(meter, plan);
	while (meter_goes_on(meter))
		pingpong_step(&pingpong);
}
