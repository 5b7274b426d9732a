#include "stream/budget.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/log.h"
#include "stream/roster.h"
#include "stream/worker.h"
#include "stream/worker_thread.h"

#define TRIM_EVERY_MS 1000

bool
budget_is_exceeded(const struct worker *worker)
{
	size_t max = worker->settings.kept_max;

	return max != 0 && worker->shared->kept > max &&
	       worker->turn_order < WORKER_DRAIN;
}

void
budget_warn(struct worker *worker)
{
	if (!clock_minute_passed(&worker->shared->warned_ms,
		worker->roster.now_ms))
		return;
	log_warning("kept_memory (%zu MiB) is used up: clients that do not "
		    "take their replies are closed",
	    worker->settings.kept_max >> 20);
}

struct worker *
budget_first(struct worker *worker)
{
	const struct worker_shared *shared = worker->shared;
	uint64_t now_ms = worker->roster.now_ms;
	struct worker *first = worker;

	for (int i = 0; i < shared->count; i++)
		if (roster_weigh(shared->workers[i]->burden, now_ms) >
		    roster_weigh(first->burden, now_ms))
			first = shared->workers[i];
	return first;
}

void
budget_trim(struct worker *worker)
{
	struct worker_shared *shared = worker->shared;
	uint64_t now_ms = worker->roster.now_ms, last_ms = shared->trimmed_ms;

	if (!shared->has_freed || now_ms < last_ms + TRIM_EVERY_MS ||
	    !atomic_compare_exchange_strong(&shared->trimmed_ms, &last_ms,
		now_ms))
		return;
	shared->has_freed = false;
	malloc_trim(0);
}
