#ifndef INET_H
#define INET_H

#include "net/sockaddr.h"

/* The address that ip says, of IPv4 or IPv6. */
struct sockaddr_any inet_address(const char *ip, int port);

/*
 * A socket at 127.0.0.1 and a port that the kernel chooses; one of TCP listens.
 * type: SOCK_*.
 */
int inet_server(int type, int *port);

#endif
