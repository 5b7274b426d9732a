#include "stream/worker_pool.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

int
worker_pool_size(const struct config *config)
{
	cpu_set_t cpus;

	if (config->workers > 0)
		return config->workers;
	/* Fails where there are more CPUs than a cpu_set_t holds. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == -1)
		return CPU_SETSIZE;
	return CPU_COUNT(&cpus);
}

/* Before there are listeners. */
static int
configure_first(struct worker_pool *pool, const struct config *config)
{
	struct profiles profiles;

	if (profiles_init(&profiles, 1, config) == -1)
		return -1;
	int rc = worker_pool_configure(pool, config, &profiles);
	profiles_free(&profiles);
	return rc;
}

int
worker_pool_start(struct worker_pool *pool, const struct config *config,
    int max_connections)
{
	struct worker_shared *shared = &pool->shared;
	int size = worker_pool_size(config);
	struct counters none = { 0 };
	struct conn_list nothing = TAILQ_HEAD_INITIALIZER(nothing);

	*pool = (struct worker_pool){ .max_connections = max_connections };
	pool->workers = calloc((size_t)size, sizeof(struct worker *));
	if (pool->workers == NULL)
		return -1;
	shared->room_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	shared->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (shared->room_fd == -1 || shared->done_fd == -1)
		goto fail;
	shared->workers = pool->workers;
	shared->count = size;
	for (; pool->count < size; pool->count++, pool->running++) {
		pool->workers[pool->count] = worker_start(pool->count, shared);
		if (pool->workers[pool->count] == NULL)
			goto fail;
	}
	if (configure_first(pool, config) == 0)
		return 0;
fail:;
	int saved_errno = errno;
	worker_pool_order(pool, WORKER_ABORT);
	worker_pool_join(pool, &none, &nothing);
	errno = saved_errno;
	return -1;
}

int
worker_pool_connections(const struct worker_pool *pool)
{
	int open = 0;

	for (int i = 0; i < pool->count; i++)
		open += worker_load(pool->workers[i]);
	return open;
}

bool
worker_pool_has_room(struct worker_pool *pool)
{
	if (worker_pool_connections(pool) < pool->max_connections)
		return true;
	pool->shared.room_wanted = true;
	/* A worker that missed room_wanted closed one before: look again. */
	return worker_pool_connections(pool) < pool->max_connections;
}

void
worker_pool_note_room(struct worker_pool *pool)
{
	eventfd_t closed;

	eventfd_read(pool->shared.room_fd, &closed);
}

void
worker_pool_set_max(struct worker_pool *pool, int max_connections)
{
	pool->max_connections = max_connections;
	eventfd_write(pool->shared.room_fd, 1);
}

void
worker_pool_dispatch(struct worker_pool *pool, struct conn *conn)
{
	struct worker *best = pool->workers[0];

	for (int i = 1; i < pool->count; i++)
		if (worker_load(pool->workers[i]) < worker_load(best))
			best = pool->workers[i];
	worker_dispatch(best, conn);
}

int
worker_pool_configure(struct worker_pool *pool, const struct config *config,
    const struct profiles *profiles)
{
	struct worker_settings settings = {
		.profiles = *profiles,
		.arrival = config->arrival,
		.log_connections = config->log_connections,
		.send_ms = (uint64_t)config->send_timeout * 1000,
		.kept_max = (size_t)config->kept_memory << 20,
	};
	int rc = 0;

	for (int i = 0; i < pool->count; i++)
		rc |= worker_configure(pool->workers[i], &settings);
	return rc;
}

void
worker_pool_order(struct worker_pool *pool, enum worker_order order)
{
	for (int i = 0; i < pool->count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): count */
		worker_order(pool->workers[i], order);
}

bool
worker_pool_ping(struct worker_pool *pool)
{
	bool responsive = true;

	for (int i = 0; i < pool->count; i++) {
		responsive &= worker_is_responsive(pool->workers[i]);
		worker_ping(pool->workers[i]);
	}
	return responsive;
}

void
worker_pool_ask_oldest(struct worker_pool *pool)
{
	for (int i = 0; i < pool->count; i++)
		worker_ask_oldest(pool->workers[i]);
	pool->asks_oldest = true;
}

bool
worker_pool_take_oldest(struct worker_pool *pool, struct worker_oldest *oldest)
{
	const struct worker_oldest *best = NULL;

	for (int i = 0; i < pool->count && pool->asks_oldest; i++) {
		const struct worker_oldest *answer = worker_oldest(
		    pool->workers[i]);
		if (worker_has_ended(pool->workers[i]))
			continue;
		if (answer == NULL)
			return false;
		if (best == NULL || answer->opened_ms < best->opened_ms)
			best = answer;
	}
	pool->asks_oldest = false;
	if (best == NULL || best->opened_ms == UINT64_MAX)
		return false;
	*oldest = *best;
	return true;
}

void
worker_pool_note_done(struct worker_pool *pool)
{
	eventfd_t ended;

	if (eventfd_read(pool->shared.done_fd, &ended) == 0)
		pool->running -= (int)ended;
}

bool
worker_pool_await_end(struct worker_pool *pool, uint64_t deadline_ms)
{
	struct pollfd done = { .fd = pool->shared.done_fd, .events = POLLIN };
	uint64_t now_ms = clock_ms();
	bool all = true;

	for (; pool->running > 0 && now_ms < deadline_ms; now_ms = clock_ms()) {
		poll(&done, 1, (int)(deadline_ms - now_ms));
		worker_pool_note_done(pool);
	}
	for (int i = 0; i < pool->count; i++)
		if (!worker_has_ended(pool->workers[i])) {
			log_error("thread worker-%d does not end: left behind",
			    i);
			all = false;
		}
	return all;
}

void
worker_pool_add_counters(const struct worker_pool *pool, struct counters *sum)
{
	for (int i = 0; i < pool->count; i++)
		counters_sum(sum, worker_counters(pool->workers[i]));
}

void
worker_pool_join(struct worker_pool *pool, struct counters *sum,
    struct conn_list *handed_over)
{
	if (pool->workers == NULL)
		return;
	for (int i = 0; i < pool->count; i++)
		worker_join(pool->workers[i], sum, handed_over);
	free(pool->workers);
	close(pool->shared.room_fd);
	close(pool->shared.done_fd);
	*pool = (struct worker_pool){ 0 };
}
