#include "stream/worker_pool.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct worker_settings
settings_of(const struct config *config)
{
	return (struct worker_settings){
		.stamp = config->stamp,
		.arrival = config->arrival,
		.idle_ms = (uint64_t)config->idle_timeout * 1000,
		.send_ms = (uint64_t)config->send_timeout * 1000,
	};
}

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

int
worker_pool_start(struct worker_pool *pool, const struct config *config,
    int max_connections)
{
	struct worker_settings settings = settings_of(config);
	int size = worker_pool_size(config);
	struct counters none = { 0 };
	struct conn_list nothing = TAILQ_HEAD_INITIALIZER(nothing);

	*pool = (struct worker_pool)WORKER_POOL_INITIALIZER;
	pool->workers = calloc((size_t)size, sizeof(struct worker *));
	pool->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (pool->workers == NULL || pool->done_fd == -1 ||
	    slots_init(&pool->slots, max_connections) == -1)
		goto fail;
	for (; pool->count < size; pool->count++, pool->running++) {
		pool->workers[pool->count] = worker_start(pool->count,
		    &settings, &pool->slots, pool->done_fd);
		if (pool->workers[pool->count] == NULL)
			goto fail;
	}
	return 0;
fail:;
	int saved_errno = errno;
	worker_pool_order(pool, WORKER_ABORT);
	worker_pool_join(pool, &none, &nothing);
	errno = saved_errno;
	return -1;
}

void
worker_pool_dispatch(struct worker_pool *pool, struct conn *conn)
{
	int best = 0;

	for (int i = 1; i < pool->count; i++)
		if (worker_load(pool->workers[i]) <
		    worker_load(pool->workers[best]))
			best = i;
	worker_dispatch(pool->workers[best], conn);
}

int
worker_pool_set(struct worker_pool *pool, const struct config *config)
{
	struct worker_settings settings = settings_of(config);
	int rc = 0;

	for (int i = 0; i < pool->count; i++)
		if (worker_set(pool->workers[i], &settings) == -1)
			rc = -1;
	return rc;
}

void
worker_pool_order(struct worker_pool *pool, enum worker_order order)
{
	for (int i = 0; i < pool->count; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): count */
		worker_order(pool->workers[i], order);
}

void
worker_pool_ping(struct worker_pool *pool)
{
	for (int i = 0; i < pool->count; i++)
		worker_ping(pool->workers[i]);
}

bool
worker_pool_is_responsive(const struct worker_pool *pool)
{
	for (int i = 0; i < pool->count; i++)
		if (!worker_is_responsive(pool->workers[i]))
			return false;
	return true;
}

void
worker_pool_note_done(struct worker_pool *pool)
{
	eventfd_t ended;

	if (eventfd_read(pool->done_fd, &ended) == 0)
		pool->running -= (int)ended;
}

void
worker_pool_count(const struct worker_pool *pool, struct counters *sum)
{
	for (int i = 0; i < pool->count; i++)
		counters_sum(sum, worker_counters(pool->workers[i]));
}

void
worker_pool_join(struct worker_pool *pool, struct counters *sum,
    struct conn_list *left)
{
	for (int i = 0; i < pool->count; i++)
		worker_join(pool->workers[i], sum, left);
	free(pool->workers);
	if (pool->done_fd != -1)
		close(pool->done_fd);
	slots_destroy(&pool->slots);
	*pool = (struct worker_pool)WORKER_POOL_INITIALIZER;
}
