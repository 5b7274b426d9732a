#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <netdb.h>
#include <stdint.h>

/*
 * Looks up the addresses of host, a name or a number, with port, for sockets of
 * a SOCK_* type.  What getaddrinfo(3) returns; *found is to be freed with
 * freeaddrinfo.  A name that is not known when clock_ms() has come to
 * deadline_ms is EAI_SYSTEM with the errno ETIMEDOUT; a thread that ends by
 * itself is left to look it up.  It takes no signal that the caller blocks.  For
 * numbers no one waits.  Any thread.
 */
int resolver_find(const char *host, int port, int type, uint64_t deadline_ms,
    struct addrinfo **found);

#endif
