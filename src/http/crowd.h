#ifndef HTTP_CROWD_H
#define HTTP_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CROWD_MAX 16 /* clients of a daemon at a time */
#define CROWD_DAEMONS 2

/* A client that a daemon of libmicrohttpd serves. */
struct crowd_client {
	int fd; /* -1: none */
	const void *daemon;
	uint64_t number, since_ms;
	bool is_ended; /* by the crowd; the daemon has not closed it yet */
};

/*
 * The clients of HTTP.  One that is in the way of others, or stays for too long
 * is ended: its socket is shut down, so that its daemon closes it.  Any thread.
 */
struct crowd {
	pthread_mutex_t lock; /* of all */
	uint64_t came;        /* clients; it numbers them */
	struct crowd_client clients[CROWD_DAEMONS * CROWD_MAX];
};

/* What it needs stays until crowd_destroy. */
void crowd_init(struct crowd *crowd);
void crowd_destroy(struct crowd *crowd);

/*
 * Adds a client, until crowd_remove, which allows NULL and comes before fd is
 * closed.  When it is the last that its daemon has room for, the one that has
 * been there for longest is ended.  Returns NULL if all places are taken, as
 * daemons that hang may keep theirs.
 */
struct crowd_client *crowd_add(struct crowd *crowd, int fd, const void *daemon);
void crowd_remove(struct crowd *crowd, struct crowd_client *client);

/* Ends those that are late. */
void crowd_end_late(struct crowd *crowd, uint64_t now_ms);

#endif
