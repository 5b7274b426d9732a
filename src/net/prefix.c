#include "net/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sockaddr.h"

/* The longest address: an IPv6 address that ends in an IPv4 one. */
#define ADDRESS_MAX sizeof("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

/* The bits of byte i that belong to the network. */
static uint8_t
mask(const struct prefix *prefix, int i)
{
	int bits = prefix->length - 8 * i;

	if (bits >= 8)
		return 0xff;
	if (bits <= 0)
		return 0;
	return (uint8_t)(0xff00U >> bits);
}

/* Sets *bits to the length of an address of its family; -1: it is none. */
static int
parse_address(const char *text, size_t len, struct in6_addr *address, int *bits)
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	char copy[ADDRESS_MAX];

	if (len >= sizeof(copy))
		return -1;
	*(char *)mempcpy(copy, text, len) = '\0';
	*bits = 128;
	if (inet_pton(AF_INET6, copy, address) == 1)
		return 0;
	*bits = 32;
	memcpy(address->s6_addr, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, &address->s6_addr[12]) == 1 ? 0 : -1;
}

/* 0 to 128; -1: text is not a number from 0 to max. */
static int
parse_length(const char *text, int max)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0')
		return -1;
	int length = (int)strtol(text, NULL, 10);
	return length <= max ? length : -1;
}

static bool
has_host_bits(const struct prefix *prefix)
{
	for (int i = 0; i < 16; i++)
		if (prefix->address.s6_addr[i] & (uint8_t)~mask(prefix, i))
			return true;
	return false;
}

/* For a network with bits behind its length: it, or that one address. */
static void
explain_host_bits(const struct prefix *prefix, const char *text,
    char why[PREFIX_WHY_MAX])
{
	struct prefix network = *prefix;
	char meant[PREFIX_TEXT_MAX];

	for (int i = 0; i < 16; i++)
		network.address.s6_addr[i] &= mask(prefix, i);
	snprintf(why, PREFIX_WHY_MAX,
	    "has bits set behind its length; did you mean the network \"%s\" "
	    "or the address \"%.*s\"?",
	    prefix_text(&network, meant), (int)strcspn(text, "/"), text);
}

static int
refuse(char why[PREFIX_WHY_MAX], const char *reason)
{
	snprintf(why, PREFIX_WHY_MAX, "%s", reason);
	return -1;
}

int
prefix_parse(const char *text, struct prefix *prefix, char why[PREFIX_WHY_MAX])
{
	const char *slash = strchrnul(text, '/');
	int bits, length;

	if (parse_address(text, (size_t)(slash - text), &prefix->address,
		&bits) == -1)
		return refuse(why, "is not an IPv4 or IPv6 address");
	length = *slash == '\0' ? bits : parse_length(slash + 1, bits);
	if (length == -1)
		return refuse(why, bits == 32 ? "needs a length from 0 to 32"
					      : "needs a length from 0 to 128");
	prefix->length = (uint8_t)(length + 128 - bits);
	if (prefix->length >= PREFIX_IPV4 &&
	    sockaddr_is_translated(&prefix->address))
		return refuse(why,
		    "is never the address of a client: name its IPv4 address, "
		    "which NAT64 (64:ff9b::/96) makes of it");
	if (!has_host_bits(prefix))
		return 0;
	explain_host_bits(prefix, text, why);
	return -1;
}

bool
prefix_holds(const struct prefix *prefix, const struct sockaddr *address)
{
	struct in6_addr ip;

	if (!sockaddr_ip(address, &ip) ||
	    (IN6_IS_ADDR_V4MAPPED(&ip) && prefix->length < PREFIX_IPV4))
		return false;
	for (int i = 0; i < 16; i++)
		if ((ip.s6_addr[i] ^ prefix->address.s6_addr[i]) &
		    mask(prefix, i))
			return false;
	return true;
}

bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->length == b->length &&
	       memcmp(&a->address, &b->address, sizeof(a->address)) == 0;
}

const char *
prefix_text(const struct prefix *prefix, char text[PREFIX_TEXT_MAX])
{
	bool is_ipv4 = prefix->length >= PREFIX_IPV4 &&
	               IN6_IS_ADDR_V4MAPPED(&prefix->address);
	const uint8_t *bytes = prefix->address.s6_addr;

	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, is_ipv4 ? bytes + 12 : bytes,
	    text, PREFIX_TEXT_MAX);
	size_t len = strlen(text);
	snprintf(text + len, PREFIX_TEXT_MAX - len, "/%d",
	    prefix->length - (is_ipv4 ? PREFIX_IPV4 : 0));
	return text;
}
