#ifndef NET_SOCKOPT_H
#define NET_SOCKOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/protocol.h"
#include "net/sockaddr.h"

/*
 * The socket that clients reach us at, as a bare fd: what of it is set and asked
 * by setsockopt(2), getsockopt(2) and fcntl(2).  -1 with errno where that fails.
 * The main thread.
 */

/* What every socket of protocol needs in order to be served. */
int sockopt_set_up(int fd, enum protocol protocol, sa_family_t family);

/*
 * The same for a connection that can't inherit it: that of a Unix stream, and
 * one that was made before its listener was set up.
 */
int sockopt_set_up_conn(int fd, enum protocol protocol);

/* Before bind(2): whether an IPv6 socket is for IPv6 alone. */
int sockopt_set_v6_only(int fd, bool v6_only);
bool sockopt_is_v6_only(int fd);

int sockopt_set_blocking(int fd, bool blocking);

/* What it is: -1 when it is of a kind that is not served, or does not listen. */
int sockopt_protocol(int fd);

/*
 * Whether the kernel notes and tells when it received data (cmsg_read_arrival):
 * datagrams, records and TCP, where connections inherit it from the listener.
 * Any thread.
 */
int sockopt_set_arrival(int fd, bool on);

/* A number that no other socket has had since the host started. */
int sockopt_cookie(int fd, uint64_t *cookie);

/* Whether others of the same user may be bound to its address as well. */
int sockopt_set_shared(int fd, bool shared);

/*
 * Of the sockets that share fd's address only the oldest gets anything from now
 * on, or each its part again.  After sockopt_wait nothing is on its way to
 * another any more.
 */
void sockopt_gather(int fd);
void sockopt_spread(int fd);
void sockopt_wait(void);

/*
 * Has a UDP socket that is bound to own get nothing any more.  While one that
 * others share the address with is closed, the kernel may still find it, and
 * what it then gets is lost.
 */
void sockopt_deafen(int fd, const struct sockaddr_any *own);

/*
 * Has a TCP socket that listens let no one in any more.  Closed, it resets the
 * connections that wait in its backlog, and would reset those too that arrive
 * between the last accept and the close.  So every SYN is dropped: a client who
 * is early enough tries again and meets our successor.
 */
void sockopt_drop_syn(int fd);

#endif
