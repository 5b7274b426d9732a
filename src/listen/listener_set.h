#ifndef LISTEN_LISTENER_SET_H
#define LISTEN_LISTENER_SET_H

#include <stdbool.h>
#include <stdio.h>

#include "base/counters.h"
#include "config/config.h"
#include "listen/acceptor.h"
#include "listen/listener.h"
#include "listen/user.h"
#include "stream/worker_pool.h"
#include "systemd/fdstore.h"

/*
 * The open listeners and who serves them: the acceptor, or a datagram thread
 * each.  All of it belongs to the main thread.
 */
struct listener_set {
	struct listener_list listeners;
	struct acceptor acceptor;
	struct user user;
	const struct listener *http; /* HTTP's, during a reload; may be NULL */
	bool is_http_leaving;
	int datagram_number;      /* of the next datagram thread */
	uint16_t last_profile;    /* the last number that was given */
	struct profiles profiles; /* of all numbers, as the workers have them */
	int done_fd; /* to be watched; eventfd: datagram threads that ended */
};

/* No listeners; set must not move.  Ended threads add to counters. */
void listener_set_init(struct listener_set *set, struct worker_pool *pool,
    struct counters *counters);

/* Watches listeners by epoll_fd from now on; -1 with errno. */
int listener_set_open(struct listener_set *set, int epoll_fd);

/*
 * Makes listeners of the sockets among fds that the service manager gave us;
 * the first listener_set_reload serves them.  Takes all descriptors but those
 * of FDSTORE_CONNECTIONS; logs and closes those that can't be served.
 */
void listener_set_inherit(struct listener_set *set, struct fdstore_fd *fds,
    size_t count);

/*
 * Makes the listeners those of config, at the start and on a reload (plan.h):
 * - an open listener at a wanted address keeps its socket and gets the wanted
 *   settings; the number of UDP threads changes only at a start,
 * - other wanted ones are opened,
 * - an open one that is not wanted drains; one that was passed stays, with the
 *   default settings.
 * At the start it becomes the user of config before it serves any.
 * -1 with errno when one can't be opened or served; errors has a line for each
 * fault.  On a reload nothing is changed then; at the start inherited listeners
 * may have been drained.
 */
int listener_set_reload(struct listener_set *set, const struct config *config,
    FILE *errors);

/*
 * Gives every listener, datagram thread and worker the settings of config, and
 * the ports of all.  -1 with errno: some keep their old settings.
 */
int listener_set_configure(struct listener_set *set,
    const struct config *config);

/* Drains all, but closes passed ones: the socket unit keeps their clients. */
void listener_set_drain(struct listener_set *set);

/* The same, but closes stored ones too: clients queue at the manager's copy. */
void listener_set_hand_over(struct listener_set *set);

/* How many the service manager keeps for us. */
size_t listener_set_count_stored(const struct listener_set *set);

/*
 * Closes those that drain and have no client waiting; a datagram listener when
 * its thread has ended, which nothing waits for.  To be called often.
 */
void listener_set_drop_drained(struct listener_set *set);
void listener_set_drop_all(struct listener_set *set);

/* To be called when done_fd is readable. */
void listener_set_note_done(struct listener_set *set);

/*
 * Closes all.  False: when clock_ms() reaches deadline_ms a thread has not
 * ended; it is named in the log, and keeps its listener.
 */
bool listener_set_end(struct listener_set *set, uint64_t deadline_ms);

/* When there are no listeners and no connections any more. */
void listener_set_free(struct listener_set *set);
bool listener_set_is_empty(const struct listener_set *set);

/* Adds the counters of the datagram threads that run. */
void listener_set_add_counters(const struct listener_set *set,
    struct counters *sum);

/* How many file descriptors the listeners and their threads take. */
size_t listener_set_count_fds(const struct listener_set *set);

/* Pings all datagram threads; whether all have answered the ping before. */
bool listener_set_ping(struct listener_set *set);

#endif
