#ifndef LISTEN_LISTENER_H
#define LISTEN_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "base/protocol.h"
#include "config/config.h"
#include "net/sockaddr.h"
#include "stamp/framing.h"

#define LISTENER_NAME_MAX (SOCKADDR_TEXT_MAX + 16)

struct datagram_thread;

/*
 * One socket that clients reach us at: a listening one, or a bound datagram
 * socket.  The main thread owns it; a datagram listener's fd is lent to its
 * thread.
 */
struct listener {
	TAILQ_ENTRY(listener) link;
	enum protocol protocol;
	bool dual_stack; /* configured as "*" */
	enum framing framing;
	int backlog;
	mode_t mode;
	int max_datagram;
	int threads; /* sockets at this address, each of a thread; UDP */
	int number;  /* which of them this is, from 0 */
	struct sockaddr_any
	    wanted; /* what it was configured as, port 0 included */
	struct sockaddr_any bound;
	dev_t device; /* of the path, Unix */
	ino_t inode;
	int fd;        /* -1: not open */
	bool served;   /* by the acceptor, or by udp */
	bool refusing; /* lets no one in any more */
	bool early;    /* clients may wait from before it was set up */
	bool passed;   /* the service manager's own, and ours only to use */
	bool stored;   /* the service manager keeps it over a restart */
	char fd_name[CONFIG_FD_NAME_MAX]; /* what the manager calls it */
	struct datagram_thread *udp;      /* serves a datagram socket */
	char name[LISTENER_NAME_MAX];     /* "tcp 127.0.0.1:21567" */
	char where[sizeof(((struct listener_config *)0)->where)];
};
TAILQ_HEAD(listener_list, listener);

/*
 * All functions belong to the main thread.  What fails returns -1 with errno
 * and a message in error that names the listener and where it was configured.
 */
#define LISTENER_ERROR_MAX 1024

/*
 * Appends to list a listener, not open yet, for each thread of each address that
 * the configured one stands for.  errno is EADDRNOTAVAIL for an unknown host,
 * and for one that is unknown still when clock_ms() has come to deadline_ms.
 */
int listener_resolve(const struct listener_config *config,
    struct listener_list *list, uint64_t deadline_ms,
    char error[LISTENER_ERROR_MAX]);

/* Whether both are asked for at the same address, and have the same number. */
bool listener_same(const struct listener *a, const struct listener *b);

/* Whether they are two of those that share an address. */
bool listener_is_sibling(const struct listener *a, const struct listener *b);

/* Whether open was passed, with the name that wanted asks for. */
bool listener_is_named(const struct listener *open,
    const struct listener *wanted);

/* Whether open, passed or not, is at the address that wanted asks for. */
bool listener_serves(const struct listener *open,
    const struct listener *wanted);

/*
 * Appends to list a listener with the default settings made of a socket that
 * the service manager passed as name; takes fd over, come what may.
 */
int listener_adopt(int fd, const char *name, struct listener_list *list,
    char error[LISTENER_ERROR_MAX]);

/*
 * Has the service manager keep the open socket over restarts; forget before it
 * is to refuse.  Where there is none that would, nothing happens.
 */
void listener_store(struct listener *listener);
void listener_unstore(struct listener *listener);

/*
 * Makes the socket; clients can reach it from now on.  One with a sibling, which
 * is open, shares its address; without one it has the address to itself.
 */
int listener_open(struct listener *listener, struct listener *sibling,
    char error[LISTENER_ERROR_MAX]);

/* Lets others have the address too only where there are to be siblings. */
int listener_limit_sharing(struct listener *listener);

/*
 * Takes over from wanted the settings that an open socket can change.  -1 with
 * errno where the kernel didn't.
 */
int listener_update(struct listener *listener, const struct listener *wanted);

/* Gives a passed one, which no one configures any more, the defaults again. */
void listener_reset(struct listener *listener);

/*
 * Lets no new client in, while those whom the kernel has already let in can
 * still be accepted.  Stream listeners.
 */
void listener_drain(struct listener *listener);

/* Closes and frees it; takes its path away unless the manager has the socket. */
void listener_free(struct listener *listener);
void listener_free_all(struct listener_list *list);

#endif
