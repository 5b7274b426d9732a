#ifndef NET_SOCKADDR_H
#define NET_SOCKADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A socket address of any family.  All functions are pure. */
struct sockaddr_any {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	};
};

/* Bytes for the text of any address: each byte of a path may become "\xff". */
#define SOCKADDR_TEXT_MAX 440

/*
 * "127.0.0.1:80", "[::1]:80", "/run/socket", "@abstract" or "unnamed".  An IPv4
 * address that is mapped to IPv6 is shown as IPv4, the unspecified IPv6 address
 * as "*" if dual_stack says that it stands for both families.  Returns text.
 */
const char *sockaddr_text(const struct sockaddr_any *address, bool dual_stack,
    char *text, size_t size);

/* In host byte order; 0 for an address without a port. */
uint16_t sockaddr_port(const struct sockaddr_any *address);

bool sockaddr_is_loopback(const struct sockaddr_any *address);

/* Whether this is the unspecified address, which stands for all. */
bool sockaddr_is_any(const struct sockaddr_any *address);

/* Whether this is a multicast address or IPv4's limited broadcast. */
bool sockaddr_is_multicast(const struct sockaddr_any *address);

/* Whether a NAT64 gateway made it of an IPv4 address: 64:ff9b::/96. */
bool sockaddr_is_translated(const struct in6_addr *ip);

/*
 * Its IP address, where an IPv4 one is mapped to IPv6, and so is that of a
 * client behind NAT64.  False: it has none.
 */
bool sockaddr_ip(const struct sockaddr *address, struct in6_addr *ip);

/*
 * A number for the network that counts as one source: the /32 of an IPv4
 * address, the /64 of an IPv6 address.  No two of these have the same number.
 * A client behind NAT64 (64:ff9b::/96) counts as its IPv4 address.
 * A link-local IPv6 address counts as a source of its own, by a hash that only
 * another link-local address may share.
 */
uint64_t sockaddr_network(const struct sockaddr_any *address);

bool sockaddr_equal(const struct sockaddr_any *a, const struct sockaddr_any *b);

#endif
