#include "net/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define PORT_TEXT_MAX 16

/* Belongs to both threads; the lock guards all from "done" on. */
struct request {
	char port[PORT_TEXT_MAX];
	struct addrinfo hints;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	bool done;
	bool left; /* to the thread that looks it up: no one waits */
	int problem, problem_errno;
	struct addrinfo *found;
	char host[];
};

static struct request *
request_new(const char *host, const char *port, const struct addrinfo *hints)
{
	struct request *request = calloc(1,
	    sizeof(*request) + strlen(host) + 1);
	pthread_condattr_t attributes;

	if (request == NULL)
		return NULL;
	strcpy(request->host, host);
	strcpy(request->port, port);
	request->hints = *hints;
	pthread_mutex_init(&request->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&request->answered, &attributes);
	pthread_condattr_destroy(&attributes);
	return request;
}

static void
request_free(struct request *request)
{
	if (request->found != NULL)
		freeaddrinfo(request->found);
	pthread_cond_destroy(&request->answered);
	pthread_mutex_destroy(&request->lock);
	free(request);
}

static void *
look_up(void *arg)
{
	struct request *request = arg;
	struct addrinfo *found = NULL;

	pthread_setname_np(pthread_self(), "resolver");
	int problem = getaddrinfo(request->host, request->port, &request->hints,
	    &found);
	int problem_errno = errno;
	pthread_mutex_lock(&request->lock);
	request->found = found;
	request->problem = problem;
	request->problem_errno = problem_errno;
	request->done = true;
	bool left = request->left;
	pthread_cond_signal(&request->answered);
	pthread_mutex_unlock(&request->lock);
	if (left)
		request_free(request);
	return NULL;
}

/* False when the request is not the caller's any more. */
static bool
await_answer(struct request *request, uint64_t deadline_ms)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ms / 1000),
		.tv_nsec = (long)(deadline_ms % 1000) * 1000000,
	};
	int rc = 0;

	pthread_mutex_lock(&request->lock);
	while (!request->done && rc == 0)
		rc = pthread_cond_timedwait(&request->answered, &request->lock,
		    &deadline);
	bool done = request->done;
	request->left = !done;
	pthread_mutex_unlock(&request->lock);
	return done;
}

/* An EAI_ code, for a problem that errno tells. */
static int
system_problem(int problem_errno)
{
	errno = problem_errno;
	return EAI_SYSTEM;
}

static int
find_name(struct request *request, uint64_t deadline_ms,
    struct addrinfo **found)
{
	pthread_t thread;

	if (request == NULL)
		return EAI_MEMORY;
	int rc = pthread_create(&thread, NULL, look_up, request);
	if (rc != 0) {
		request_free(request);
		return system_problem(rc);
	}
	if (!await_answer(request, deadline_ms)) {
		pthread_detach(thread);
		return system_problem(ETIMEDOUT);
	}
	pthread_join(thread, NULL);
	int problem = request->problem, problem_errno = request->problem_errno;
	*found = request->found;
	request->found = NULL;
	request_free(request);
	errno = problem_errno;
	return problem;
}

int
resolver_find(const char *host, int port, int type, uint64_t deadline_ms,
    struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST,
		.ai_socktype = type,
	};
	char port_text[PORT_TEXT_MAX];

	snprintf(port_text, sizeof(port_text), "%d", port);
	int problem = getaddrinfo(host, port_text, &hints, found);
	if (problem != EAI_NONAME)
		return problem;
	if (clock_ms() >= deadline_ms)
		return system_problem(ETIMEDOUT);
	hints.ai_flags = AI_NUMERICSERV;
	return find_name(request_new(host, port_text, &hints), deadline_ms,
	    found);
}
