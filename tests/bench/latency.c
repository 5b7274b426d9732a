#include "latency.h"

#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "crowd.h"
#include "dialogue.h"
#include "endpoint.h"
#include "stream.h"
#include "usage.h"

/* A step of the neighbour takes no longer than a few round trips. */
#define STREAM_STEP (32 * 1024)
#define LAP_NS 1000000000U /* each slow client of a crowd sends once */

struct probe {
	int fd;
	size_t received;
	uint64_t sent_ns;
	struct dialogue dialogue;
};

static void
probe_send(struct probe *probe)
{
	size_t len = probe->dialogue.request_len;

	probe->received = 0;
	probe->sent_ns = meter_now_ns();
	if (send(probe->fd, probe->dialogue.request, len, MSG_NOSIGNAL) !=
	    (ssize_t)len)
		err(1, "send");
}

static void
probe_open(struct probe *probe, const struct plan *plan)
{
	memset(probe, 0, sizeof(*probe));
	/* With each framing a line gets a stamp. */
	dialogue_init_line(&probe->dialogue, plan);
	probe->fd = endpoint_stream(plan->port, 0);
	probe_send(probe);
}

/* If the reply is complete, adds the round trip and begins the next. */
static void
probe_poll(struct probe *probe, struct meter *meter)
{
	char buffer[65536];
	ssize_t n = recv(probe->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0)
		err(1, n == 0 ? "the server closed the connection" : "receive");
	uint64_t now_ns = meter_now_ns();
	dialogue_check_part(&probe->dialogue, probe->received, buffer,
	    (size_t)n);
	probe->received += (size_t)n;
	if (probe->received < dialogue_len(&probe->dialogue))
		return;
	histogram_add(&meter->latency, now_ns - probe->sent_ns);
	meter->messages++;
	meter->bytes += probe->received;
	probe_send(probe);
}

void
latency_alone_run(const struct plan *plan, struct meter *meter)
{
	struct probe probe;

	probe_open(&probe, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter))
		probe_poll(&probe, meter);
}

void
latency_stream_run(const struct plan *plan, struct meter *meter)
{
	static struct stream stream;
	static struct meter other;
	struct probe probe;

	stream_open(&stream, plan, &other, STREAM_STEP);
	probe_open(&probe, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter)) {
		stream_step(&stream, 0);
		probe_poll(&probe, meter);
	}
}

/* Returns the CPU time that the server uses for the crowd alone in LAP_NS. */
static uint64_t
lap(struct crowd *crowd, pid_t server)
{
	uint64_t before_ns = usage_cpu_ns(server);
	uint64_t end_ns = meter_now_ns() + LAP_NS;

	while (meter_now_ns() < end_ns)
		crowd_step(crowd);
	return usage_cpu_ns(server) - before_ns;
}

void
latency_crowd_run(const struct plan *plan, struct meter *meter)
{
	static struct crowd crowd;
	struct probe probe;

	crowd_open(&crowd, plan);
	uint64_t cpu_ns = lap(&crowd, plan->server);
	probe_open(&probe, plan);
	meter_start(meter, plan);
	while (meter_goes_on(meter)) {
		crowd_step(&crowd);
		probe_poll(&probe, meter);
	}
	meter->crowd_cpu_ns = cpu_ns;
	meter->crowd_bytes = usage_private_bytes(plan->server);
	meter->crowd_kernel_bytes = usage_tcp_bytes();
}
