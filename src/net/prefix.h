#ifndef NET_PREFIX_H
#define NET_PREFIX_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * A network, such as 192.0.2.0/24 or 2001:db8::/32.  An IPv4 address is mapped
 * to IPv6, and its length counts from there: that of 192.0.2.0/24 is 120.
 */
struct prefix {
	struct in6_addr address;
	uint8_t length; /* bits */
};

/* The first length of an IPv4 network; shorter ones hold no IPv4 address. */
#define PREFIX_IPV4 96

/*
 * Reads "ADDRESS/LENGTH", or "ADDRESS" for that address alone.  -1 with the
 * reason, and what may have been meant, in why.
 */
#define PREFIX_WHY_MAX 256
int prefix_parse(const char *text, struct prefix *prefix,
    char why[PREFIX_WHY_MAX]);

/*
 * Whether address lies in the network.  A client behind NAT64 has its IPv4
 * address, as sockaddr_ip says; one without an IP address is in none.
 */
bool prefix_holds(const struct prefix *prefix, const struct sockaddr *address);

bool prefix_equal(const struct prefix *a, const struct prefix *b);

/* As prefix_parse reads it, with the length.  Returns text. */
#define PREFIX_TEXT_MAX (INET6_ADDRSTRLEN + 4)
const char *prefix_text(const struct prefix *prefix,
    char text[PREFIX_TEXT_MAX]);

#endif
