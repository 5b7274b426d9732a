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
 * Bytes of replies that a UDP socket can hold while neighbours do not answer
 * ARP; net.core.wmem_max caps it unless we have CAP_NET_ADMIN.
 */
#define SOCKOPT_SEND_BUFFER (4 << 20)

/*
 * Sets what a socket needs to be served.  Accepted connections inherit it; Unix
 * ones and those made before the call do not.  family matters for UDP only.
 */
int sockopt_set_up(int fd, enum protocol protocol, sa_family_t family);

/* One option that is an int.  Any thread. */
int sockopt_set(int fd, int level, int name, int value);
int sockopt_get(int fd, int level, int name);

/* The size of the send buffer, as it was set.  Any thread. */
int sockopt_send_buffer(int fd);

/*
 * How much of a TCP connection the kernel may keep, in each direction: a client
 * that sends and never reads fills both.  Accepted connections inherit it.
 */
int sockopt_set_buffers(int fd, int bytes);

/*
 * For a busy TCP connection: three times the buffers if the client is on this
 * host, whose segments of 64 KiB would hardly fit.  Any thread.
 */
void sockopt_widen(int fd);

int sockopt_set_nonblocking(int fd);

/* The enum protocol; -1: a socket that can't be served or does not listen. */
int sockopt_protocol(int fd);

/* A number that no other socket has had since the host was started. */
int sockopt_cookie(int fd, uint64_t *cookie);

/* Of two TCP sockets at an address the second bound gets all new clients. */
void sockopt_prefer_second(int fd);

/*
 * Makes a listening TCP socket drop every SYN.  Closing it resets the
 * connections in its backlog: none may arrive after the last accept.  A client
 * whose SYN is dropped tries again and reaches the next listener there.  Linux
 * 6.18 and later let only CAP_NET_ADMIN do this; without it a client that comes
 * between the last accept and the close is reset.
 */
void sockopt_drop_syn(int fd);

#endif
