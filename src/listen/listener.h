#ifndef LISTEN_LISTENER_H
#define LISTEN_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "config/listener_config.h"
#include "net/sockaddr.h"

#define LISTENER_NAME_MAX (SOCKADDR_TEXT_MAX + 16)
#define LISTENER_ERROR_MAX 1024

struct datagram_thread;

/* Who made a listening socket. */
enum origin {
	ORIGIN_OWN,    /* this process */
	ORIGIN_STORED, /* a process before it; the service manager kept it */
	ORIGIN_PASSED, /* the service manager, for a socket unit */
};

enum listener_state {
	LISTENER_NEW,      /* configured, without a socket */
	LISTENER_READY,    /* has a socket, is not served yet */
	LISTENER_SERVING,  /* clients are accepted, datagrams answered */
	LISTENER_DRAINING, /* only what has arrived is accepted or answered */
};

/*
 * One socket that clients reach us at: a listening one, or a bound datagram
 * socket.  The main thread owns it; a datagram thread borrows its fd.
 */
struct listener {
	TAILQ_ENTRY(listener) link;
	enum origin origin;
	enum listener_state state;
	struct listener_config config;
	bool dual_stack; /* configured as "*" */
	int number;      /* of this socket among those of config.threads */
	struct sockaddr_any wanted; /* as configured; its port may be 0 */
	struct sockaddr_any bound;
	dev_t device;      /* of the Unix path that is ours to remove */
	ino_t inode;       /* 0: there is none */
	int fd;            /* -1: none */
	uid_t owner;       /* the user whose socket it is to be */
	uint64_t accepted; /* clients */
	uint16_t profile;  /* number of its profile; 0: it has none yet */
	bool early;        /* clients may have connected before it was set up */
	char store_name[48]; /* name in the manager's store; "": not stored */
	struct datagram_thread
	    *datagram;                /* the thread that serves it, or NULL */
	bool is_ending;               /* that thread was ordered to end */
	char name[LISTENER_NAME_MAX]; /* "tcp 127.0.0.1:21567" */
};
TAILQ_HEAD(listener_list, listener);

/* All functions are for the main thread. */

/*
 * Appends to list a listener, not open yet, for each thread of each address
 * that the configured one stands for.  -1 with errno and a message in error:
 * for a host that is unknown, or not resolved when clock_ms() reaches
 * deadline_ms, errno is EADDRNOTAVAIL.
 */
int listener_resolve(const struct listener_config *config,
    struct listener_list *list, uint64_t deadline_ms,
    char error[LISTENER_ERROR_MAX]);

/* One with these settings, to be freed; NULL: out of memory. */
struct listener *listener_new(const struct listener_config *config,
    const struct sockaddr *wanted, socklen_t len);

/* Names an open listener by the address that it is bound to. */
void listener_rename(struct listener *listener);

/* Writes where it was configured, its name and a message; -1, errno stays. */
int listener_fail(const struct listener *listener, char *error,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Makes the socket, binds it and lets clients connect: LISTENER_READY.  The
 * address is shared with beside, an open listener: a sibling, or one that
 * drains; NULL: no other socket may have it.  -1 with errno and a message in
 * error.
 */
int listener_open(struct listener *listener, const struct listener *beside,
    char error[LISTENER_ERROR_MAX]);

/*
 * Appends to list an open listener made of a socket that the service manager
 * gave us as name: stored by a process before this one, or passed by a socket
 * unit.  fd is not the caller's any more.  -1 with a message in error.
 */
int listener_inherit(int fd, const char *name, struct listener_list *list,
    char error[LISTENER_ERROR_MAX]);

/*
 * Has the manager keep the socket over restarts, or not any more.  Does nothing
 * for a passed socket, or where the manager keeps none.
 */
void listener_store(struct listener *listener);
void listener_unstore(struct listener *listener);

/* Gives a TCP or UDP socket to the owner, if we may. */
void listener_give_socket(const struct listener *listener);

/* Gives its Unix path to a user.  -1 with errno; ESTALE: it is another file. */
int listener_set_owner(const struct listener *listener, uid_t user,
    gid_t group);

/* Notes that the Unix path exists and is to be removed with the listener. */
void listener_note_path(struct listener *listener);

/*
 * Takes over from wanted the settings that an open socket can change; the
 * defaults where wanted is NULL.  -1 with errno where the kernel refuses one;
 * ESTALE: there is another file at its Unix path.
 */
int listener_update(struct listener *listener, const struct listener *wanted);

/*
 * Lets no new client in; those that the kernel has let in can still be
 * accepted.  Another listener can be opened at its address, beside it or at its
 * path.  The manager does not keep it any more.
 */
void listener_drain(struct listener *listener);

/* New datagrams reach its siblings and no longer it; queued ones stay. */
void listener_divert(const struct listener *listener);

/* Closes and frees it, and removes its path unless the manager keeps it. */
void listener_free(struct listener *listener);
void listener_free_all(struct listener_list *list);

#endif
