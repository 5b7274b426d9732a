#include "crowd.h"

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "endpoint.h"
#include "meter.h"

#define SECOND_NS 1000000000U
#define PIECE_BYTES (32 * 1024)
#define PIECES 8 /* together more than the buffers on the path hold */

struct slow {
	int fd;
	bool spoken;
	uint64_t due_ns;
};

static int
by_due(const void *a, const void *b)
{
	const struct slow *one = a, *other = b;

	return (one->due_ns > other->due_ns) - (one->due_ns < other->due_ns);
}

/*
 * The times are random, so sometimes several are due at once, and the order is
 * not that in which they connected.
 */
static void
open_slow(struct crowd *crowd, const struct plan *plan)
{
	struct plan one_byte = *plan;

	one_byte.size = 1;
	/* With each framing a line gets a stamp. */
	dialogue_init_line(&crowd->dialogue, &one_byte);
	crowd->next = 0;
	crowd->count = (size_t)plan->connections;
	crowd->slow = calloc(crowd->count, sizeof(*crowd->slow));
	if (crowd->slow == NULL)
		err(71, "slow connections");
	for (size_t i = 0; i < crowd->count; i++) {
		crowd->slow[i].fd = endpoint_stream(plan->port, (unsigned)i);
		crowd->slow[i].due_ns = (uint64_t)random() % SECOND_NS;
	}
	qsort(crowd->slow, crowd->count, sizeof(*crowd->slow), by_due);
}

/* timestampd closes deaf clients when they have used up kept_memory. */
static bool
is_closed(int problem)
{
	return problem == ECONNRESET || problem == EPIPE;
}

static void
open_deaf(const struct plan *plan)
{
	static char piece[PIECE_BYTES];
	int least = 1;
	int *fds = calloc((size_t)plan->deaf + 1, sizeof(*fds));

	/* Empty lines make the longest replies, so the server keeps the most. */
	memset(piece, '\n', sizeof(piece));
	if (fds == NULL)
		err(71, "deaf connections");
	for (int i = 0; i < plan->deaf; i++) {
		fds[i] = endpoint_stream(plan->port, (unsigned)i);
		if (setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &least,
			sizeof(least)) == -1)
			err(71, "setsockopt");
	}
	/* One piece to each client per round, so the server has time to answer. */
	for (int round = 0; round < PIECES; round++)
		for (int i = 0; i < plan->deaf; i++)
			if (send(fds[i], piece, sizeof(piece),
				MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
			    errno != EAGAIN && !is_closed(errno))
				err(1, "send of a deaf client");
	free(fds);
}

void
crowd_open(struct crowd *crowd, const struct plan *plan)
{
	open_deaf(plan);
	open_slow(crowd, plan);
	uint64_t now_ns = meter_now_ns();
	for (size_t i = 0; i < crowd->count; i++)
		crowd->slow[i].due_ns += now_ns;
}

static void
hear(struct crowd *crowd, const struct slow *slow)
{
	char buffer[256];
	ssize_t n = recv(slow->fd, buffer, sizeof(buffer), MSG_DONTWAIT);

	if (n <= 0)
		err(1, n == 0 ? "the server closed a slow client"
			      : "no reply to a slow client");
	dialogue_check(&crowd->dialogue, buffer, (size_t)n);
}

void
crowd_step(struct crowd *crowd)
{
	struct slow *slow = &crowd->slow[crowd->next];
	uint64_t now_ns = meter_now_ns();

	if (now_ns < slow->due_ns)
		return;
	if (slow->spoken)
		hear(crowd, slow);
	if (send(slow->fd, crowd->dialogue.request, 1, MSG_NOSIGNAL) != 1)
		err(1, "send of a slow client");
	slow->spoken = true;
	/* Counted from now, not from due_ns: a late load keeps the order. */
	slow->due_ns = now_ns + SECOND_NS;
	crowd->next = (crowd->next + 1) % crowd->count;
}
