#include "stream/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stream/worker_thread.h"

static void
free_settings(struct worker_settings *settings)
{
	if (settings != NULL)
		profiles_free(&settings->profiles);
	free(settings);
}

static void
worker_free(struct worker *worker)
{
	close(worker->epoll_fd);
	close(worker->wake_fd);
	free_settings(worker->next_settings);
	profiles_free(&worker->settings.profiles);
	free(worker->io.loan.bulk);
	free(worker);
}

/* wake_fd is edge-triggered: each write is an event, and nobody reads it. */
static int
open_fds(struct worker *worker)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (worker->epoll_fd == -1 || worker->wake_fd == -1)
		return -1;
	return epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd,
	    &event);
}

struct worker *
worker_start(int number, struct worker_shared *shared)
{
	/* calloc does not know that the counters need aligned memory. */
	struct worker *worker = aligned_alloc(_Alignof(struct worker),
	    sizeof(*worker));

	if (worker == NULL)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->number = number;
	worker->shared = shared;
	worker->io.counters = &worker->counters;
	client_log_init(&worker->log, shared->count, &shared->last_number);
	roster_init(&worker->roster, &shared->kept);
	TAILQ_INIT(&worker->handed_over);
	int rc = open_fds(worker) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&worker->thread, NULL, worker_run, worker);
	if (rc == 0)
		return worker;
	worker_free(worker);
	errno = rc;
	return NULL;
}

void
worker_dispatch(struct worker *worker, struct conn *conn)
{
	struct conn *top = worker->dispatched;

	worker->load++;
	do
		conn->link.tqe_next = top;
	while (!atomic_compare_exchange_weak(&worker->dispatched, &top, conn));
	/* Otherwise the worker was woken for the first, and will take all. */
	if (top == NULL)
		eventfd_write(worker->wake_fd, 1);
}

int
worker_load(const struct worker *worker)
{
	return worker->load;
}

int
worker_configure(struct worker *worker, const struct worker_settings *settings)
{
	struct worker_settings *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return -1;
	*copy = *settings;
	if (profiles_copy(&copy->profiles, &settings->profiles) == -1) {
		free(copy);
		return -1;
	}
	free_settings(atomic_exchange(&worker->next_settings, copy));
	eventfd_write(worker->wake_fd, 1);
	return 0;
}

void
worker_order(struct worker *worker, enum worker_order order)
{
	if ((int)order > worker->order)
		worker->order = order;
	eventfd_write(worker->wake_fd, 1);
}

void
worker_ping(struct worker *worker)
{
	worker->pinged = true;
	eventfd_write(worker->wake_fd, 1);
}

bool
worker_is_responsive(const struct worker *worker)
{
	return worker->ended || !worker->pinged;
}

void
worker_ask_oldest(struct worker *worker)
{
	worker->asked = true;
	worker_ping(worker);
}

const struct worker_oldest *
worker_oldest(const struct worker *worker)
{
	return worker->asked ? NULL : &worker->oldest;
}

bool
worker_has_ended(const struct worker *worker)
{
	return worker->ended;
}

const struct counters *
worker_counters(const struct worker *worker)
{
	return &worker->counters;
}

void
worker_join(struct worker *worker, struct counters *sum,
    struct conn_list *handed_over)
{
	pthread_join(worker->thread, NULL);
	counters_sum(sum, &worker->counters);
	TAILQ_CONCAT(handed_over, &worker->handed_over, link);
	worker_free(worker);
}
