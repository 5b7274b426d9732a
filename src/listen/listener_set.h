#ifndef LISTEN_LISTENER_SET_H
#define LISTEN_LISTENER_SET_H

#include <stdbool.h>
#include <stdio.h>

#include "base/counters.h"
#include "config/config.h"
#include "listen/acceptor.h"
#include "listen/listener.h"
#include "stream/worker_pool.h"
#include "systemd/fdstore.h"

/*
 * The listeners in use and who serves them: the acceptor, or a datagram thread
 * each.  All of it is the main thread's.
 */
struct listener_set {
	struct listener_list listeners;
	struct acceptor acceptor;
	struct counters *counters; /* get those of datagram threads that end */
	int udp_number;            /* of the next datagram thread */
};

/* No listeners.  roster must not move from here on. */
void listener_set_init(struct listener_set *roster, int epoll_fd,
    struct worker_pool *pool, struct counters *counters);

/*
 * Takes in the sockets among fds that clients may reach us at; they are served
 * from the next listener_set_reload on.  Others are left alone, or closed with a word
 * in the log when they are of no use to anyone.
 */
void listener_set_adopt(struct listener_set *roster, struct fdstore_fd *fds,
    size_t count);

/*
 * Makes the listeners those of config: one that is in use already keeps its
 * socket, one that is not wanted any more lets no one in.  Those that the
 * service manager passed stay, with the settings of the configured one that has
 * their name or else their address.  -1 with errno, with a line in errors for
 * each fault and nothing changed, when one can't be had.
 */
int listener_set_reload(struct listener_set *roster,
    const struct config *config, FILE *errors);

/* New settings for all datagram threads; -1 with errno: one keeps the old. */
int listener_set_set(struct listener_set *roster, const struct config *config);

/*
 * Lets no one in any more.  Datagrams that have arrived are answered first.
 * Clients at a socket that was passed wait there for the next process.
 */
void listener_set_drain(struct listener_set *roster);

/* The same, but those that the service manager keeps go on letting clients in. */
void listener_set_hand_over(struct listener_set *roster);

/* How many the service manager keeps for us. */
size_t listener_set_stored(const struct listener_set *roster);

/* A listener that refuses new clients goes when the last old one is in. */
void listener_set_drop_drained(struct listener_set *roster);
void listener_set_drop_all(struct listener_set *roster);
bool listener_set_is_empty(const struct listener_set *roster);

/* Adds the counters of the datagram threads that run. */
void listener_set_count(const struct listener_set *roster,
    struct counters *sum);

/* How many file descriptors the listeners and their threads take. */
size_t listener_set_fds(const struct listener_set *roster);

/* As datagram_ping and datagram_is_responsive, of all. */
void listener_set_ping(struct listener_set *roster);
bool listener_set_is_responsive(const struct listener_set *roster);

#endif
