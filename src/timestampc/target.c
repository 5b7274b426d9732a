#include "timestampc/target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A number or the name of a service; -1: neither. */
static int
parse_port(const char *text, enum protocol protocol)
{
	struct servent entry, *found = NULL;
	char buffer[1024], *end;
	unsigned long number = strtoul(text, &end, 10);

	if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
		return number >= 1 && number <= 65535 ? (int)number : -1;
	getservbyname_r(text, protocol_name(protocol), &entry, buffer,
	    sizeof(buffer), &found);
	return found == NULL ? -1 : ntohs((uint16_t)found->s_port);
}

static int
set_host(struct target *target, const char *text, size_t len)
{
	if (len == 0 || len >= sizeof(target->host))
		return -1;
	*(char *)mempcpy(target->host, text, len) = '\0';
	return 0;
}

static int
set_port(struct target *target, const char *text)
{
	target->port = parse_port(text, target->protocol);
	return target->port == -1 ? -1 : 0;
}

/* "", "port", "host", "host:port", "[host]", "[host]:port" or "::1" */
static int
parse_inet(struct target *target, const char *text)
{
	const char *end = strchr(text, ']'), *colon = strchr(text, ':');

	if (text[0] == '\0')
		return 0;
	if (text[0] == '[') {
		if (end == NULL ||
		    set_host(target, text + 1, (size_t)(end - text - 1)) == -1)
			return -1;
		if (end[1] == '\0')
			return 0;
		return end[1] == ':' ? set_port(target, end + 2) : -1;
	}
	if (text[strspn(text, "0123456789")] == '\0')
		return set_port(target, text);
	if (colon == NULL || strchr(colon + 1, ':') != NULL)
		return set_host(target, text, strlen(text));
	if (set_host(target, text, (size_t)(colon - text)) == -1)
		return -1;
	return set_port(target, colon + 1);
}

int
target_parse(struct target *target, const char *text)
{
	const char *rest = strchr(text, ':');
	char name[sizeof("unix-seqpacket")] = "";
	int protocol = -1;

	*target = (struct target){ .text = text,
		.port = TARGET_PORT,
		.host = "localhost" };
	if (rest != NULL && (size_t)(rest - text) < sizeof(name)) {
		memcpy(name, text, (size_t)(rest - text));
		protocol = protocol_parse(name);
	}
	rest = protocol == -1 ? text : rest + 1;
	if (protocol == -1)
		protocol = text[0] == '/' ? PROTOCOL_UNIX : PROTOCOL_TCP;
	target->protocol = (enum protocol)protocol;
	if (!protocol_is_unix(target->protocol))
		return parse_inet(target, rest);
	if (rest[0] != '/' || strlen(rest) >= sizeof(target->path))
		return -1;
	strcpy(target->path, rest);
	return 0;
}
