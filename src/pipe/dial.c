#include "pipe/dial.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/clock.h"

#define ATTEMPT_MS 10000

int
dial_init(struct dial *dial, const struct target *target)
{
	*dial = (struct dial){ .event = eventfd(0, EFD_CLOEXEC),
		.target = target,
		.connection = { .fd = -1 } };
	return dial->event == -1 ? -1 : 0;
}

static void *
run(void *arg)
{
	struct dial *dial = arg;

	dial->status = connection_open(&dial->connection, dial->target,
	    clock_ms() + ATTEMPT_MS);
	/* Nothing else tells that the attempt has ended. */
	while (eventfd_write(dial->event, 1) == -1)
		continue;
	return NULL;
}

int
dial_begin(struct dial *dial)
{
	int problem = pthread_create(&dial->thread, NULL, run, dial);

	if (problem != 0) {
		errno = problem;
		return -1;
	}
	dial->busy = true;
	return 0;
}

void
dial_end(struct dial *dial)
{
	eventfd_t ended;

	eventfd_read(dial->event, &ended);
	pthread_join(dial->thread, NULL);
	dial->busy = false;
}
