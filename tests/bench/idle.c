#include "idle.h"

#include <err.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

#include "dialogue.h"
#include "endpoint.h"
#include "usage.h"

#define FIRST_FEW 64 /* not measured: they include what is allocated once */

/* Returns the connection, which stays open until the end. */
static int
open_one(struct dialogue *dialogue, int port, int number)
{
	char buffer[65536];
	size_t len = 0;
	int fd = endpoint_stream(port, (unsigned)number);

	if (send(fd, dialogue->request, dialogue->request_len, MSG_NOSIGNAL) !=
	    (ssize_t)dialogue->request_len)
		err(1, "send");
	while (len < dialogue_len(dialogue)) {
		ssize_t n = recv(fd, buffer + len, sizeof(buffer) - len, 0);
		if (n <= 0)
			err(1, n == 0 ? "no reply" : "receive");
		len += (size_t)n;
	}
	dialogue_check(dialogue, buffer, len);
	return fd;
}

/* To the end of the run; nothing may come meanwhile. */
static void
stay_idle(int fd, struct meter *meter)
{
	struct pollfd last = { .fd = fd, .events = POLLIN };

	while (meter_goes_on(meter))
		if (poll(&last, 1, meter_left_ms(meter)) != 0)
			errx(1, "an idle connection got data or was closed");
}

void
idle_run(const struct plan *plan, struct meter *meter)
{
	struct dialogue dialogue;
	int opened = 0, fd = -1;

	dialogue_init(&dialogue, plan);
	for (; opened < FIRST_FEW; opened++)
		open_one(&dialogue, plan->port, opened);
	uint64_t before = usage_private_bytes(plan->server);
	for (; opened < FIRST_FEW + plan->connections; opened++)
		fd = open_one(&dialogue, plan->port, opened);
	uint64_t after = usage_private_bytes(plan->server);
	meter_start(meter, plan);
	stay_idle(fd, meter);
	meter->messages = (uint64_t)plan->connections;
	meter->private_bytes = ((int64_t)after - (int64_t)before) /
	                       plan->connections;
}
