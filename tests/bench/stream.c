#include "stream.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "endpoint.h"

#define FLOWS_MAX 64
#define WAIT_MS 100
#define SAMPLE 16 /* one receive in so many is checked */

struct flow {
	int fd;
	size_t out_at;  /* offset in stream->out, which is sent repeatedly */
	uint64_t in_at; /* bytes received */
	unsigned long visits; /* receives */
};

static void
flow_send(struct stream *stream, struct flow *flow)
{
	size_t len = stream->out_len - flow->out_at;

	if (len > stream->step_bytes)
		len = stream->step_bytes;
	ssize_t n = send(flow->fd, stream->out + flow->out_at, len,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1)
		err(1, "send");
	flow->out_at = (flow->out_at + (size_t)n) % stream->out_len;
}

/* Checks the complete lines of the len bytes received at offset in_at. */
static void
check(struct stream *stream, uint64_t in_at, size_t len)
{
	size_t line_len = dialogue_len(&stream->line);
	size_t at = (line_len - in_at % line_len) % line_len;

	for (; at + line_len <= len; at += line_len)
		dialogue_check(&stream->line, stream->in + at, line_len);
}

static void
flow_receive(struct stream *stream, struct flow *flow)
{
	bool looked_at = flow->visits++ % SAMPLE == 0;
	ssize_t n = recv(flow->fd, stream->in, stream->step_bytes,
	    MSG_DONTWAIT | (looked_at ? 0 : MSG_TRUNC));

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		err(1, n == 0 ? "the server closed a stream" : "receive");
	if (looked_at)
		check(stream, flow->in_at, (size_t)n);
	size_t line_len = dialogue_len(&stream->line);
	uint64_t in_end = flow->in_at + (uint64_t)n;
	stream->meter->bytes += (uint64_t)n;
	stream->meter->messages += in_end / line_len - flow->in_at / line_len;
	flow->in_at = in_end;
}

static void
fill(struct stream *stream)
{
	size_t len = stream->line.request_len;

	for (size_t at = 0; at + len <= sizeof(stream->out); at += len) {
		memcpy(stream->out + at, stream->line.request, len);
		stream->out_len = at + len;
	}
}

void
stream_open(struct stream *stream, const struct plan *plan, struct meter *meter,
    size_t step_bytes)
{
	memset(stream, 0, sizeof(*stream));
	stream->meter = meter;
	stream->step_bytes = step_bytes;
	dialogue_init_line(&stream->line, plan);
	fill(stream);
	stream->flows = calloc((size_t)plan->connections,
	    sizeof(*stream->flows));
	stream->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (stream->flows == NULL || stream->epoll_fd == -1)
		err(71, "streams");
	for (int i = 0; i < plan->connections; i++) {
		struct flow *flow = &stream->flows[i];
		struct epoll_event event = {
			.events = EPOLLIN | EPOLLOUT,
			.data.ptr = flow,
		};
		flow->fd = endpoint_stream(plan->port, (unsigned)i);
		if (epoll_ctl(stream->epoll_fd, EPOLL_CTL_ADD, flow->fd,
			&event) == -1)
			err(71, "epoll_ctl");
	}
}

void
stream_step(struct stream *stream, int timeout_ms)
{
	struct epoll_event events[FLOWS_MAX];
	int n = epoll_wait(stream->epoll_fd, events, FLOWS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		if ((events[i].events & ~(unsigned)EPOLLOUT) != 0)
			flow_receive(stream, events[i].data.ptr);
		if ((events[i].events & EPOLLOUT) != 0)
			flow_send(stream, events[i].data.ptr);
	}
}

void
stream_run(const struct plan *plan, struct meter *meter)
{
	static struct stream stream;

	stream_open(&stream, plan, meter, STREAM_BUFFER);
	meter_start(meter, plan);
	while (meter_goes_on(meter))
		stream_step(&stream, WAIT_MS);
}
