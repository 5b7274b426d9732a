#include "net/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/*
 * A look-up in a thread of its own, for getaddrinfo(3) takes no deadline.
 * getaddrinfo_a(3) does, but the stack of its threads is 64 KiB, too small for
 * some name service modules, and ThreadSanitizer crashes on such a thread.
 */
struct request {
	char port[sizeof("65535")];
	struct addrinfo hints;
	struct addrinfo *found; /* this and the problem: after answered */
	int problem, problem_errno;
	sem_t answered;
	atomic_flag released; /* by one of the two threads: the other frees */
	char host[];
};

static void
request_free(struct request *request)
{
	if (request->found != NULL)
		freeaddrinfo(request->found);
	sem_destroy(&request->answered);
	free(request);
}

static void *
look_up(void *arg)
{
	struct request *request = arg;

	pthread_setname_np(pthread_self(), "resolver");
	request->problem = getaddrinfo(request->host, request->port,
	    &request->hints, &request->found);
	request->problem_errno = errno;
	sem_post(&request->answered);
	if (atomic_flag_test_and_set(&request->released))
		request_free(request);
	return NULL;
}

/* The answer, when it comes in time.  Takes request over. */
static int
find_name(struct request *request, uint64_t deadline_ms,
    struct addrinfo **found)
{
	struct timespec deadline = { (time_t)(deadline_ms / 1000),
		(long)(deadline_ms % 1000) * 1000000 };
	int problem = EAI_SYSTEM, problem_errno = ETIMEDOUT;
	pthread_t thread;
	int rc = pthread_create(&thread, NULL, look_up, request);

	if (rc != 0) {
		request_free(request);
		errno = rc;
		return EAI_SYSTEM;
	}
	if (TEMP_FAILURE_RETRY(sem_clockwait(&request->answered,
		CLOCK_MONOTONIC, &deadline)) == 0) {
		pthread_join(thread, NULL);
		problem = request->problem;
		problem_errno = request->problem_errno;
		*found = request->found;
		request->found = NULL;
	} else {
		pthread_detach(thread);
	}
	if (atomic_flag_test_and_set(&request->released))
		request_free(request);
	errno = problem_errno;
	return problem;
}

int
resolver_find(const char *host, int port, int type, uint64_t deadline_ms,
    struct addrinfo **found)
{
	struct addrinfo hints = { .ai_socktype = type,
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	size_t size = sizeof(struct request) + strlen(host) + 1;
	char port_text[sizeof("65535")];

	snprintf(port_text, sizeof(port_text), "%hu", (uint16_t)port);
	int problem = getaddrinfo(host, port_text, &hints, found);
	if (problem != EAI_NONAME)
		return problem;
	errno = ETIMEDOUT;
	if (clock_ms() >= deadline_ms)
		return EAI_SYSTEM;
	struct request *request = calloc(1, size);
	if (request == NULL)
		return EAI_MEMORY;
	strcpy(request->host, host);
	strcpy(request->port, port_text);
	request->hints = hints;
	request->hints.ai_flags = AI_NUMERICSERV;
	sem_init(&request->answered, 0, 0);
	return find_name(request, deadline_ms, found);
}
