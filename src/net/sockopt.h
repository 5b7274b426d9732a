#ifndef NET_SOCKOPT_H
#define NET_SOCKOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/protocol.h"
#include "net/sockaddr.h"

/*
 * Options of the sockets that clients reach us at.  All return -1 with errno on
 * an error and are for the main thread, if not said otherwise.
 */

/*
 * Sets what a socket needs to be served.  Accepted connections inherit it; Unix
 * ones and those made before the call do not.  family matters for UDP only.
 */
int sockopt_set_up(int fd, enum protocol protocol, sa_family_t family);

/* Before bind(2): whether an IPv6 socket is for IPv6 alone. */
int sockopt_set_v6_only(int fd, bool v6_only);
bool sockopt_is_v6_only(int fd);

int sockopt_set_nonblocking(int fd);

/* The enum protocol; -1 for a socket that we don't serve or that doesn't listen. */
int sockopt_protocol(int fd);

/*
 * Whether the kernel tells when it received data (cmsg_read_arrival): of
 * datagrams, records and TCP, whose connections inherit it from the listener.
 * Any thread.
 */
int sockopt_set_arrival(int fd, bool on);

/* A number that no other socket has had since the host was started. */
int sockopt_cookie(int fd, uint64_t *cookie);

/* SO_REUSEPORT: whether other sockets of this user may have its address too. */
int sockopt_set_shared(int fd, bool shared);

/*
 * Makes a listening TCP socket drop every SYN.  Closing it resets the
 * connections in its backlog, also those that arrive after the last accept: so
 * none may arrive.  A client whose SYN is dropped tries again and reaches the
 * next listener at the address.
 */
void sockopt_drop_syn(int fd);

#endif
