#include "churn.h"

#include <err.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialogue.h"
#include "endpoint.h"

#define WINDOW_MAX 256

struct visit {
	int fd;
	uint64_t opened_ns;
};

static void
visit_open(struct visit *visit, const struct dialogue *dialogue, int port,
    unsigned number)
{
	ssize_t len = (ssize_t)dialogue->request_len;

	visit->opened_ns = meter_now_ns();
	visit->fd = endpoint_stream(port, number);
	if (len > 0 && send(visit->fd, dialogue->request, (size_t)len,
			   MSG_NOSIGNAL) != len)
		err(1, "send");
}

static void
visit_end(struct visit *visit, struct dialogue *dialogue, struct meter *meter)
{
	char buffer[65536];
	size_t len = 0;

	do {
		ssize_t n = recv(visit->fd, buffer + len, sizeof(buffer) - len,
		    0);
		if (n <= 0)
			err(1, n == 0 ? "no reply" : "receive");
		len += (size_t)n;
	} while (len < dialogue_len(dialogue));
	dialogue_check(dialogue, buffer, len);
	close(visit->fd);
	histogram_add(&meter->latency, meter_now_ns() - visit->opened_ns);
	meter->bytes += len;
	meter->messages++;
}

void
churn_run(const struct plan *plan, struct meter *meter)
{
	struct visit visits[WINDOW_MAX];
	struct dialogue dialogue;
	unsigned number = 0, window = (unsigned)plan->window;

	if (window == 0 || window > WINDOW_MAX)
		errx(64, "a window is 1 to %d", WINDOW_MAX);
	dialogue_init(&dialogue, plan);
	for (; number < window; number++)
		visit_open(&visits[number], &dialogue, plan->port, number);
	meter_start(meter, plan);
	for (; meter_goes_on(meter); number++) {
		struct visit *visit = &visits[number % window];
		visit_end(visit, &dialogue, meter);
		visit_open(visit, &dialogue, plan->port, number);
	}
}
