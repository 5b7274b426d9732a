#ifndef STREAM_WORKER_H
#define STREAM_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "config/profile.h"
#include "stream/client_log.h"
#include "stream/conn.h"

/*
 * A thread that serves the connections dispatched to it, by an epoll of its
 * own.  Workers share nothing but struct worker_shared.
 */
struct worker;

struct worker_settings {
	struct profiles profiles;
	bool arrival;         /* stamps tell when data arrived */
	bool log_connections; /* at level info */
	uint64_t send_ms;     /* 0: never */
	size_t kept_max;      /* bytes for clients that don't read; 0: any */
};

/* The connection of a worker that has been open longest. */
struct worker_oldest {
	uint64_t opened_ms; /* UINT64_MAX: none is open */
	char who[CLIENT_LOG_WHO_MAX];
};

/* What the workers tell the main thread, and each other. */
struct worker_shared {
	_Atomic bool room_wanted; /* the next close writes to room_fd */
	/* Eventfds: a close, or an answer; how many workers end. */
	int room_fd, done_fd;
	_Atomic uint64_t last_number;  /* of a connection in the log */
	_Atomic size_t kept;           /* bytes for clients that do not read */
	_Atomic uint64_t warned_ms;    /* that they are too many; 0: never */
	_Atomic uint64_t trimmed_ms;   /* when freed memory was returned */
	_Atomic bool has_freed;        /* some was freed since */
	struct worker *const *workers; /* complete before the first dispatch */
	int count;                     /* of the workers */
};

/* How far a stop has come; it only ever increases. */
enum worker_order {
	WORKER_RUN,
	WORKER_DRAIN,     /* close what is quiet; dispatch goes on */
	WORKER_FINISH,    /* no more dispatch: end when all are closed */
	WORKER_HAND_OVER, /* no more dispatch: keep all for another process */
	WORKER_ABORT,     /* close all, end */
};

/*
 * Starts a worker, which needs settings before the first dispatch; shared
 * outlives it.  NULL with errno.  Every function is for the main thread only.
 */
struct worker *worker_start(int number, struct worker_shared *shared);

/* A copy is used from the next event on; -1 with errno: out of memory. */
int worker_configure(struct worker *worker,
    const struct worker_settings *settings);

/* conn is the worker's from here on. */
void worker_dispatch(struct worker *worker, struct conn *conn);

/* Connections dispatched and not closed yet. */
int worker_load(const struct worker *worker);

/* An order lower than an earlier one is ignored. */
void worker_order(struct worker *worker, enum worker_order order);

/* Responsive: the loop has run since the last ping, or ended as ordered. */
void worker_ping(struct worker *worker);
bool worker_is_responsive(const struct worker *worker);

bool worker_has_ended(const struct worker *worker);

/*
 * Asks for its oldest connection, as it is at the next turn of its loop.  The
 * answer, when shared->room_fd becomes readable; NULL: there is none yet.
 */
void worker_ask_oldest(struct worker *worker);
const struct worker_oldest *worker_oldest(const struct worker *worker);

const struct counters *worker_counters(const struct worker *worker);

/*
 * Waits until the thread has ended, adds its counters to sum and what it kept
 * for another process to handed_over, and frees the worker.
 */
void worker_join(struct worker *worker, struct counters *sum,
    struct conn_list *handed_over);

#endif
