#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* Nobody has a network of 4000::/3, nor is an IPv4 address as large. */
#define LINK_LOCAL_TAG ((uint64_t)2 << 61)

/* Whether it is an IPv4 address, mapped to IPv6 or not. */
static bool
is_ipv4(const struct sockaddr_any *address)
{
	return address->any.sa_family == AF_INET ||
	       (address->any.sa_family == AF_INET6 &&
		   IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr));
}

/* In host byte order.  Only for an IPv4 address, also one within IPv6. */
static uint32_t
ipv4_of(const struct sockaddr_any *address)
{
	uint32_t ip = address->in.sin_addr.s_addr;

	if (address->any.sa_family == AF_INET6)
		memcpy(&ip, &address->in6.sin6_addr.s6_addr[12], sizeof(ip));
	return ntohl(ip);
}

/* A client chooses its name: escape each byte that could look like another. */
static void
unix_text(const struct sockaddr_any *address, char *text, size_t size)
{
	const char *name = address->un.sun_path;
	size_t path = offsetof(struct sockaddr_un, sun_path), at = 0;
	size_t len = address->len > path ? address->len - path : 0;

	if (len == 0)
		at = (size_t)snprintf(text, size, "unnamed");
	else if (name[0] != '\0')
		len = strnlen(name, len);
	else
		text[at++] = '@';
	for (size_t i = at; i < len && size - at > sizeof("\\xff"); i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= ' ' && c <= '~' && c != '\\')
			text[at++] = (char)c;
		else
			at += (size_t)snprintf(text + at, size - at, "\\x%02x",
			    c);
	}
	text[at] = '\0';
}

const char *
sockaddr_text(const struct sockaddr_any *address, bool dual_stack, char *text,
    size_t size)
{
	char ip[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "";
	unsigned port = sockaddr_port(address);

	if (address->any.sa_family == AF_UNIX) {
		unix_text(address, text, size);
	} else if (is_ipv4(address)) {
		struct in_addr ipv4 = { htonl(ipv4_of(address)) };
		inet_ntop(AF_INET, &ipv4, ip, sizeof(ip));
		snprintf(text, size, "%s:%u", ip, port);
	} else if (dual_stack && sockaddr_is_any(address)) {
		snprintf(text, size, "*:%u", port);
	} else {
		/* inet_ntop(3) would leave out the interface. */
		getnameinfo(&address->any, sizeof(address->in6), ip, sizeof(ip),
		    NULL, 0, NI_NUMERICHOST);
		snprintf(text, size, "[%s]:%u", ip, port);
	}
	return text;
}

uint16_t
sockaddr_port(const struct sockaddr_any *address)
{
	if (address->any.sa_family == AF_INET)
		return ntohs(address->in.sin_port);
	if (address->any.sa_family == AF_INET6)
		return ntohs(address->in6.sin6_port);
	return 0;
}

bool
sockaddr_is_loopback(const struct sockaddr_any *address)
{
	if (is_ipv4(address))
		return ipv4_of(address) >> 24 == 127;
	return address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr);
}

bool
sockaddr_is_any(const struct sockaddr_any *address)
{
	if (is_ipv4(address))
		return ipv4_of(address) == INADDR_ANY;
	return address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr);
}

bool
sockaddr_is_multicast(const struct sockaddr_any *address)
{
	if (is_ipv4(address))
		return IN_MULTICAST(ipv4_of(address)) ||
		       ipv4_of(address) == INADDR_BROADCAST;
	return address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_MULTICAST(&address->in6.sin6_addr);
}

bool
sockaddr_is_translated(const struct in6_addr *ip)
{
	static const uint8_t prefix[12] = { 0, 0x64, 0xff, 0x9b };

	return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

bool
sockaddr_ip(const struct sockaddr *address, struct in6_addr *ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	const struct sockaddr_in *in = (const void *)address;
	const struct sockaddr_in6 *in6 = (const void *)address;

	if (address->sa_family == AF_INET6)
		*ip = in6->sin6_addr;
	else if (address->sa_family == AF_INET)
		memcpy(&ip->s6_addr[12], &in->sin_addr, sizeof(in->sin_addr));
	else
		return false;
	if (address->sa_family == AF_INET || sockaddr_is_translated(ip))
		memcpy(ip, mapped, sizeof(mapped));
	return true;
}

uint64_t
sockaddr_network(const struct sockaddr_any *address)
{
	const struct in6_addr *ip = &address->in6.sin6_addr;
	uint64_t halves[2] = { 0 };

	/* No IPv6 unicast network is below 2^32: the numbers don't collide. */
	if (is_ipv4(address))
		return ipv4_of(address);
	if (address->any.sa_family != AF_INET6)
		return 0;
	if (sockaddr_is_translated(ip))
		return ipv4_of(address);
	memcpy(halves, ip, sizeof(halves));
	if (!IN6_IS_ADDR_LINKLOCAL(ip))
		return be64toh(halves[0]);
	/* The high half is the same for all link-local addresses, and another
	 * link may have the same low half: mix this with the interface. */
	uint64_t mixed = (be64toh(halves[1]) + address->in6.sin6_scope_id) *
	                 0x9e3779b97f4a7c15;
	return LINK_LOCAL_TAG | mixed >> 3;
}

bool
sockaddr_equal(const struct sockaddr_any *a, const struct sockaddr_any *b)
{
	return a->len == b->len && memcmp(&a->any, &b->any, a->len) == 0;
}
