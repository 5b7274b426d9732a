#ifndef ADDRESS_H
#define ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A socket address of any family.  All functions are pure. */
struct address {
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	};
};

/* Room for the text of any address: each byte of a path may be "\xff". */
#define ADDRESS_TEXT_MAX 440

/*
 * "127.0.0.1:80", "[::1]:80", "/run/socket", "@abstract" or "unnamed"; an IPv4
 * address in an IPv6 coat as IPv4, the unspecified IPv6 address as "*" where
 * dual_stack says that it stands for both families.  Returns text.
 */
const char *address_text(const struct address *address, bool dual_stack,
    char *text, size_t size);

/* In host byte order; 0 for an address without one. */
uint16_t address_port(const struct address *address);

bool address_is_loopback(const struct address *address);

/* The unspecified address, which stands for every one. */
bool address_is_any(const struct address *address);

/* Multicast, or IPv4's limited broadcast. */
bool address_is_multicast(const struct address *address);

/*
 * The network that counts as one source: the /32 of an IPv4 address, the /64 of
 * an IPv6 address.  No two of these have the same number.  A link-local IPv6
 * address counts for itself, and has hardly ever the number of another.
 */
uint64_t address_network(const struct address *address);

bool address_equal(const struct address *a, const struct address *b);

#endif
