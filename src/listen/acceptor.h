#ifndef LISTEN_ACCEPTOR_H
#define LISTEN_ACCEPTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counters.h"
#include "listen/listener.h"
#include "stream/worker_pool.h"

/*
 * Accepts clients on all stream listeners and hands them to the pool; pauses
 * when no more fit.  The main thread, which also owns all that this points to.
 */
struct acceptor {
	int epoll_fd; /* the main thread's; a listener's events carry it */
	struct listener_list *listeners;
	struct worker_pool *pool;
	struct counters *counters;
	bool full;          /* max_connections are open */
	uint64_t resume_ms; /* 0, or when to go on after a shortage */
	uint64_t full_logged_ms, short_logged_ms;
};

/* Begins to accept on listener; -1 with errno. */
int acceptor_add(struct acceptor *acceptor, struct listener *listener);

/* Accepts no more on listener, though its socket may stay open elsewhere. */
void acceptor_remove(struct acceptor *acceptor, struct listener *listener);

/*
 * Accepts some of the clients that wait at listener.  False when none is left.
 */
bool acceptor_accept(struct acceptor *acceptor, struct listener *listener);

/* A slot came free, or there may be more of them now. */
void acceptor_note_room(struct acceptor *acceptor);

/* Goes on after a pause whose time is over. */
void acceptor_note_time(struct acceptor *acceptor, uint64_t now_ms);

/* Until acceptor_note_time is to be called; -1 when it need not be. */
int acceptor_wait_ms(const struct acceptor *acceptor, uint64_t now_ms);

bool acceptor_is_paused(const struct acceptor *acceptor);

#endif
