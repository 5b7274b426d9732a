#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <netdb.h>
#include <stdint.h>

/*
 * Looks up the addresses of host, a name or a number, with port, for sockets of
 * a SOCK_* type.  Returns what getaddrinfo(3) returns; free *found with
 * freeaddrinfo.  A name without an answer when clock_ms() reaches deadline_ms
 * is EAI_SYSTEM with ETIMEDOUT; its look-up ends by itself in a thread that has
 * the caller's signal mask.  A number never waits.  Any thread.
 */
int resolver_find(const char *host, int port, int type, uint64_t deadline_ms,
    struct addrinfo **found);

#endif
