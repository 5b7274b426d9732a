#include "config/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DIGITS "0123456789"

/* IPv6, perhaps with the name of an interface, as in fe80::1%eth0. */
static bool
is_ipv6(const char *text)
{
	struct in6_addr address;
	char copy[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "%");

	if (len >= sizeof(copy) || (text[len] == '%' && text[len + 1] == '\0'))
		return false;
	*(char *)mempcpy(copy, text, len) = '\0';
	return inet_pton(AF_INET6, copy, &address) == 1;
}

/* The labels of a name, as far as they are letters, digits, - and _. */
static bool
is_host_name(const char *text)
{
	size_t label = 0;

	for (; *text != '\0'; text++)
		if (*text == '.' && label == 0)
			return false;
		else if (*text == '.')
			label = 0;
		else if (++label > 63 ||
			 (!isalnum((unsigned char)*text) && *text != '-' &&
			     *text != '_' && (*text & 0x80) == 0))
			return false;
	return true;
}

/* What ends in a number is an IPv4 address, as 127.1 is to the resolver. */
static bool
is_numeric(const char *text)
{
	const char *last = strrchr(text, '.');

	last = last != NULL ? last + 1 : text;
	return *last != '\0' && last[strspn(last, DIGITS)] == '\0';
}

/* Whether text is HOST:PORT; the host has len bytes. */
static bool
has_port(const char *text, size_t *len)
{
	const char *colon = strrchr(text, ':');

	if (colon == NULL || colon == text ||
	    colon[1 + strspn(colon + 1, DIGITS)] != '\0')
		return false;
	*len = (size_t)(colon - text);
	return memchr(text, ':', *len) == NULL ||
	       (text[0] == '[' && colon[-1] == ']');
}

/* Why text, which has a colon or a slash, is not the address of a listener. */
static void
explain_separator(const char *text, char why[ADDRESS_WHY_MAX])
{
	const char *scheme = strstr(text, "://");
	size_t len;

	if (text[0] == '/')
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is a path; a listener with a path has "
		    "protocol = \"unix\" and path = \"%.128s\"",
		    text, text);
	else if (scheme != NULL)
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is a URL: address = \"%.*s\";", text,
		    (int)strcspn(scheme + 3, ":/"), scheme + 3);
	else if (strchr(text, '/') != NULL)
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is a network, and a listener has one address "
		    "of this computer, or \"*\"; to serve that network only: "
		    "allow = [ \"%.128s\" ];",
		    text, text);
	else if (has_port(text, &len))
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is an address and a port: address = "
		    "\"%.*s\"; port = %.8s;",
		    text, len < 128 ? (int)len : 128, text, text + len + 1);
	else
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is not an IPv6 address", text);
}

static void
explain(const char *text, char why[ADDRESS_WHY_MAX])
{
	if (text[0] == '\0')
		snprintf(why, ADDRESS_WHY_MAX,
		    "needs \"*\", an IP address or a host name");
	else if (strpbrk(text, ":/") != NULL)
		explain_separator(text, why);
	else if (text[strspn(text, DIGITS)] == '\0')
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is a number, and not an address; for a port: "
		    "port = %.16s;",
		    text, text);
	else if (is_numeric(text))
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is not an IPv4 address, which is four numbers "
		    "from 0 to 255",
		    text);
	else
		snprintf(why, ADDRESS_WHY_MAX,
		    "\"%.128s\" is not an IP address, and a host name has "
		    "letters, digits, - and . only",
		    text);
}

int
address_parse(const char *text, char out[ADDRESS_MAX],
    char why[ADDRESS_WHY_MAX])
{
	char inner[ADDRESS_MAX];
	struct in_addr ipv4;
	size_t len = strlen(text);

	snprintf(inner, sizeof(inner), "%s", text);
	if (len < sizeof(inner) && text[0] == '[' && text[len - 1] == ']')
		snprintf(inner, sizeof(inner), "%.*s", (int)len - 2, text + 1);
	bool is_good = strcmp(text, "*") == 0 || is_ipv6(inner);
	if (!is_good && len > 0 && len < sizeof(inner)) {
		bool is_bare_number = text[strspn(text, DIGITS)] == '\0';
		if (is_numeric(text))
			is_good = !is_bare_number && inet_aton(text, &ipv4);
		else
			is_good = is_host_name(text);
	}
	if (!is_good) {
		explain(text, why);
		return -1;
	}
	strcpy(out, inner);
	return 0;
}
