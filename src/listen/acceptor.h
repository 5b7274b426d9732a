#ifndef LISTEN_ACCEPTOR_H
#define LISTEN_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "listen/listener.h"
#include "stream/sources.h"
#include "stream/worker_pool.h"

#define ACCEPTOR_FULL UINT64_MAX /* resume_ms: when there is room */

/*
 * Accepts clients on all stream listeners and dispatches them to the workers;
 * pauses while no more fit.  The main thread owns it and all it points to.
 */
struct acceptor {
	int epoll_fd; /* the main thread's; a listener's events carry it */
	struct listener_list *listeners;
	struct worker_pool *pool;
	struct counters *counters;
	struct sources sources;
	struct access *access; /* where a listener has no lists; held */
	int source_max;        /* open connections of each; 0: any number */
	int batch;             /* clients to accept at once; 0: one */
	unsigned singles;      /* batches of one */
	int failures;          /* of accept, in a row */
	uint64_t resume_ms;    /* paused until then; 0: not paused */
	_Atomic uint64_t logged_ms[3]; /* shortage, max_connections, stranger */
};

/* Watches listener; while paused, 0 without trying.  -1 with errno. */
int acceptor_add(struct acceptor *acceptor, struct listener *listener);

/* Watches it no longer; its socket may stay open elsewhere. */
void acceptor_remove(struct acceptor *acceptor, struct listener *listener);

/*
 * Accepts some of the clients in the backlog; while paused true without trying.
 * False: it is empty; a draining listener is polled until a call returns false.
 */
bool acceptor_accept(struct acceptor *acceptor, struct listener *listener);

/*
 * Counts conn, which another process accepted, for its source, whose maximum
 * does not apply.  Loopback and Unix connections have no source.
 */
void acceptor_count(struct acceptor *acceptor, struct conn *conn);

/* The lists for all, which new clients of listeners without lists need. */
void acceptor_use_access(struct acceptor *acceptor, struct access *access);

/* To be called when the pool's room_fd is readable. */
void acceptor_note_room(struct acceptor *acceptor);

/* Ends a pause whose time is over; due in acceptor_wait_ms, -1: never. */
void acceptor_note_time(struct acceptor *acceptor, uint64_t now_ms);
int acceptor_wait_ms(const struct acceptor *acceptor, uint64_t now_ms);

#endif
