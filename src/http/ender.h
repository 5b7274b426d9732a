#ifndef HTTP_ENDER_H
#define HTTP_ENDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct MHD_Daemon;

/*
 * A thread that calls stop_daemon, which joins the daemon's thread: one that
 * hangs must not take the main thread along.
 */
struct ender {
	SLIST_ENTRY(ender) link; /* the caller's */
	/* Of the thread. */
	void (*stop)(struct MHD_Daemon *daemon);
	struct MHD_Daemon *daemon;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool is_over;
};
SLIST_HEAD(ender_list, ender);

/* NULL: there is none, and nothing was stopped.  Any thread. */
struct ender *ender_start(void (*stop)(struct MHD_Daemon *daemon),
    struct MHD_Daemon *daemon);

/* Waits until clock_ms() is end_ms.  True: it is over, and was freed. */
bool ender_await(struct ender *ender, uint64_t end_ms);

#endif
