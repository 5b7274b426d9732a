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
 * A look-up in a thread of its own, because getaddrinfo(3) takes no deadline.
 * getaddrinfo_a(3) does, but the stack of its threads is 64 KiB, too small for
 * some name service modules, and ThreadSanitizer crashes on such a thread.
 */
struct request {
	char port[sizeof("65535")];
	struct addrinfo hints;
	struct addrinfo *found;
	/* 0, EAI_* (< 0) or an errno; written last and read first, because
	 * ThreadSanitizer does not know sem_clockwait. */
	_Atomic int outcome;
	sem_t answered;
	_Atomic int owners; /* threads: the last one frees */
	char host[];
};

static void
release(struct request *request)
{
	if (atomic_fetch_sub(&request->owners, 1) > 1)
		return;
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
	int problem = getaddrinfo(request->host, request->port, &request->hints,
	    &request->found);
	request->outcome = problem == EAI_SYSTEM ? errno : problem;
	sem_post(&request->answered);
	release(request);
	return NULL;
}

/* The answer, when it comes in time.  Takes request over. */
static int
find_name(struct request *request, uint64_t deadline_ms,
    struct addrinfo **found)
{
	struct timespec deadline = { (time_t)(deadline_ms / 1000),
		(long)(deadline_ms % 1000) * 1000000 };
	pthread_t thread;
	int outcome = pthread_create(&thread, NULL, look_up, request);

	if (outcome != 0) {
		request->owners = 1;
	} else if (TEMP_FAILURE_RETRY(sem_clockwait(&request->answered,
		       CLOCK_MONOTONIC, &deadline)) == -1) {
		outcome = ETIMEDOUT;
		pthread_detach(thread);
	} else {
		pthread_join(thread, NULL);
		outcome = request->outcome;
		*found = request->found;
		request->found = NULL;
	}
	release(request);
	if (outcome > 0)
		errno = outcome;
	return outcome > 0 ? EAI_SYSTEM : outcome;
}

int
resolver_find(const char *host, int port, int type, uint64_t deadline_ms,
    struct addrinfo **found)
{
	struct request *request = calloc(1,
	    sizeof(*request) + strlen(host) + 1);

	if (request == NULL)
		return EAI_MEMORY;
	strcpy(request->host, host);
	snprintf(request->port, sizeof(request->port), "%hu", (uint16_t)port);
	request->hints = (struct addrinfo){ .ai_socktype = type,
		.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST };
	int problem = getaddrinfo(host, request->port, &request->hints, found);
	if (problem == EAI_NONAME && clock_ms() < deadline_ms) {
		request->hints.ai_flags = AI_NUMERICSERV;
		request->owners = 2;
		sem_init(&request->answered, 0, 0);
		return find_name(request, deadline_ms, found);
	}
	free(request);
	if (problem != EAI_NONAME)
		return problem;
	errno = ETIMEDOUT;
	return EAI_SYSTEM;
}
