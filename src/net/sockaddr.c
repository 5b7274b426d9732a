#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static bool
is_mapped(const struct sockaddr_any *address)
{
	return address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&address->in6.sin6_addr);
}

/* In host byte order.  Only for an IPv4 address, mapped to IPv6 or not. */
static uint32_t
ipv4_of(const struct sockaddr_any *address)
{
	uint32_t ip = address->in.sin_addr.s_addr;

	if (address->any.sa_family == AF_INET6)
		memcpy(&ip, &address->in6.sin6_addr.s6_addr[12], sizeof(ip));
	return ntohl(ip);
}

static bool
is_ipv4(const struct sockaddr_any *address)
{
	return address->any.sa_family == AF_INET || is_mapped(address);
}

/* A client chooses its name: escape each byte that could look like another. */
static void
put_printable(const char *name, size_t len, char *text, size_t size)
{
	size_t at = 0;

	for (size_t i = 0; i < len && size - at > sizeof("\\xff"); i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= ' ' && c <= '~' && c != '\\')
			text[at++] = (char)c;
		else
			at += (size_t)snprintf(text + at, size - at, "\\x%02x",
			    c);
	}
	text[at] = '\0';
}

static void
unix_text(const struct sockaddr_any *address, char *text, size_t size)
{
	size_t path = offsetof(struct sockaddr_un, sun_path);
	size_t len = address->len > path ? address->len - path : 0;

	if (len == 0) {
		snprintf(text, size, "unnamed");
	} else if (address->un.sun_path[0] == '\0') {
		text[0] = '@';
		put_printable(address->un.sun_path + 1, len - 1, text + 1,
		    size - 1);
	} else {
		put_printable(address->un.sun_path,
		    strnlen(address->un.sun_path, len), text, size);
	}
}

static void
ipv6_text(const struct sockaddr_any *address, char *text, size_t size)
{
	char ip[INET6_ADDRSTRLEN], interface[IF_NAMESIZE + 1] = "";
	unsigned scope = address->in6.sin6_scope_id;

	inet_ntop(AF_INET6, &address->in6.sin6_addr, ip, sizeof(ip));
	if (scope != 0) {
		interface[0] = '%';
		if (if_indextoname(scope, interface + 1) == NULL)
			snprintf(interface + 1, IF_NAMESIZE, "%u", scope);
	}
	snprintf(text, size, "[%s%s]:%u", ip, interface,
	    sockaddr_port(address));
}

const char *
sockaddr_text(const struct sockaddr_any *address, bool dual_stack, char *text,
    size_t size)
{
	char ip[INET_ADDRSTRLEN];
	uint32_t ipv4;

	if (address->any.sa_family == AF_UNIX) {
		unix_text(address, text, size);
	} else if (dual_stack && address->any.sa_family == AF_INET6 &&
		   IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr)) {
		snprintf(text, size, "*:%u", sockaddr_port(address));
	} else if (is_ipv4(address)) {
		ipv4 = htonl(ipv4_of(address));
		inet_ntop(AF_INET, &ipv4, ip, sizeof(ip));
		snprintf(text, size, "%s:%u", ip, sockaddr_port(address));
	} else {
		ipv6_text(address, text, size);
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

/*
 * The high half is the same for all link-local addresses, and another link may
 * have the same low half: mix the low half with the number of the interface.
 */
static uint64_t
link_local_network(const struct sockaddr_in6 *in6)
{
	uint64_t interface;

	memcpy(&interface, &in6->sin6_addr.s6_addr[8], sizeof(interface));
	return be64toh(interface) ^ in6->sin6_scope_id * 0x9e3779b97f4a7c15;
}

uint64_t
sockaddr_network(const struct sockaddr_any *address)
{
	uint64_t network = 0;

	/* No IPv6 unicast network is below 2^32: the numbers don't collide. */
	if (is_ipv4(address))
		return ipv4_of(address);
	if (address->any.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr))
		return link_local_network(&address->in6);
	if (address->any.sa_family == AF_INET6)
		memcpy(&network, &address->in6.sin6_addr, sizeof(network));
	return be64toh(network);
}

bool
sockaddr_equal(const struct sockaddr_any *a, const struct sockaddr_any *b)
{
	return a->len == b->len && memcmp(&a->any, &b->any, a->len) == 0;
}
