#ifndef ROSTER_H
#define ROSTER_H

#include <stdbool.h>
#include <stdio.h>

#include "acceptor.h"
#include "config.h"
#include "counters.h"
#include "fdstore.h"
#include "listener.h"
#include "pool.h"

/*
 * The listeners in use and who serves them: the acceptor, or a datagram thread
 * each.  All of it is the main thread's.
 */
struct roster {
	struct listener_list listeners;
	struct acceptor acceptor;
	struct counters *counters; /* get those of datagram threads that end */
	int udp_number;            /* of the next datagram thread */
};

/* No listeners.  roster must not move from here on. */
void roster_init(struct roster *roster, int epoll_fd, struct pool *pool,
    struct counters *counters);

/*
 * Takes in the sockets among fds that clients may reach us at; they are served
 * from the next roster_change on.  Others are left alone, or closed with a word
 * in the log when they are of no use to anyone.
 */
void roster_adopt(struct roster *roster, struct fdstore_fd *fds, size_t count);

/*
 * Makes the listeners those of config: one that is in use already keeps its
 * socket, one that is not wanted any more lets no one in.  Those that the
 * service manager passed stay, with the settings of the configured one that has
 * their name or else their address.  -1 with errno, with a line in errors for
 * each fault and nothing changed, when one can't be had.
 */
int roster_change(struct roster *roster, const struct config *config,
    FILE *errors);

/* New settings for all datagram threads; -1 with errno: one keeps the old. */
int roster_set(struct roster *roster, const struct config *config);

/*
 * Lets no one in any more.  Datagrams that have arrived are answered first.
 * Clients at a socket that was passed wait there for the next process.
 */
void roster_retire_all(struct roster *roster);

/* The same, but those that the service manager keeps go on letting clients in. */
void roster_leave(struct roster *roster);

/* How many the service manager keeps for us. */
size_t roster_stored(const struct roster *roster);

/* A listener that refuses new clients goes when the last old one is in. */
void roster_drop_drained(struct roster *roster);
void roster_drop_all(struct roster *roster);
bool roster_is_empty(const struct roster *roster);

/* Adds the counters of the datagram threads that run. */
void roster_count(const struct roster *roster, struct counters *sum);

/* How many file descriptors the listeners and their threads take. */
size_t roster_fds(const struct roster *roster);

/* As udp_ping and udp_turns, of all. */
void roster_ping(struct roster *roster);
bool roster_turns(const struct roster *roster);

#endif
