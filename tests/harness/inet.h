#ifndef INET_H
#define INET_H

#include <stdbool.h>

#include "net/sockaddr.h"

/* The address that ip says, of IPv4 or IPv6. */
struct sockaddr_any inet_address(const char *ip, int port);

/*
 * A socket at 127.0.0.1 and a port that the kernel chooses; one of TCP listens.
 * type: SOCK_*.
 */
int inet_server(int type, int *port);

/* The test goes on alone on its network; false, said in the output: it can't. */
bool inet_enter_network(void);

#endif
