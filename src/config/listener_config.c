#include "config/listener_config.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/setting.h"

#define DEFAULT_PORT 21567
#define THREADS_MAX 64

static void
read_address(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	size_t room = sizeof(((struct listener_config *)value)->address);

	if (text[0] == '\0' || strlen(text) >= room)
		setting_complain(reader, setting,
		    "needs \"*\", an IP address or a host name");
	else
		strcpy(value, text);
}

/* -1 when no such service is known. */
static int
service_port(const char *name, enum protocol protocol)
{
	struct servent entry, *found = NULL;
	char buffer[1024];

	if (getservbyname_r(name, protocol_name(protocol), &entry, buffer,
		sizeof(buffer), &found) != 0 ||
	    found == NULL)
		return -1;
	return ntohs((uint16_t)found->s_port);
}

static void
read_service(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	struct listener_config *listener =
	    (struct listener_config *)((char *)value -
				       offsetof(struct listener_config, port));
	int port = service_port(text, listener->protocol);

	if (port == -1)
		setting_complain(reader, setting,
		    "\"%s\" is not a %s service in /etc/services; a number "
		    "needs "
		    "no quotes",
		    text, protocol_name(listener->protocol));
	else
		listener->port = port;
}

static void
read_mode(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode > 0777)
		setting_complain(reader, setting,
		    "\"%s\" is not an octal mode from \"0000\" to \"0777\"",
		    text);
	else
		*(mode_t *)value = (mode_t)mode;
}

#define INET (1U << PROTOCOL_TCP | 1U << PROTOCOL_UDP)
#define UNIX                                                                   \
	(1U << PROTOCOL_UNIX | 1U << PROTOCOL_UNIX_DGRAM |                     \
	    1U << PROTOCOL_UNIX_SEQPACKET)
#define STREAM (1U << PROTOCOL_TCP | 1U << PROTOCOL_UNIX)
#define CONNECTION (STREAM | 1U << PROTOCOL_UNIX_SEQPACKET)
#define DATAGRAM (1U << PROTOCOL_UDP | 1U << PROTOCOL_UNIX_DGRAM)

#define IN(field) offsetof(struct listener_config, field)

static const struct setting_rule rules[] = {
	/* read first: which of the others are allowed depends on it */
	{ "protocol", .parse = protocol_parse, .offset = IN(protocol),
	    .choices = "\"tcp\", \"udp\", \"unix\", \"unix-dgram\" and "
		       "\"unix-seqpacket\"" },
	{ "address", .protocols = INET, .read_text = read_address,
	    .offset = IN(address) },
	{ "port", .protocols = INET, .read_text = read_service,
	    .offset = IN(port), .max = 65535 },
	{ "path", .protocols = UNIX, .read_text = setting_read_path,
	    .offset = IN(path) },
	{ "mode", .protocols = UNIX, .read_text = read_mode,
	    .offset = IN(mode) },
	{ "backlog", .protocols = CONNECTION, .offset = IN(backlog), .min = 1,
	    .max = 65535 },
	{ "framing", .protocols = STREAM, .parse = framing_parse,
	    .offset = IN(framing), .choices = "\"chunk\" and \"line\"" },
	{ "max_datagram", .protocols = DATAGRAM, .offset = IN(max_datagram),
	    .min = 1, .max = LISTENER_CONFIG_DATAGRAM_MAX },
	{ "threads", .protocols = 1U << PROTOCOL_UDP, .offset = IN(threads),
	    .min = 1, .max = THREADS_MAX },
	{ .name = NULL },
};

void
listener_config_default(struct listener_config *listener,
    enum protocol protocol)
{
	memset(listener, 0, sizeof(*listener));
	listener->protocol = protocol;
	strcpy(listener->address, "*");
	listener->port = DEFAULT_PORT;
	listener->mode = 0666;
	listener->backlog = 1024;
	listener->framing = FRAMING_CHUNK;
	listener->max_datagram = 1400;
	listener->threads = 1;
}

static bool
is_same(const struct listener_config *a, const struct listener_config *b)
{
	if (a->protocol != b->protocol)
		return false;
	if (protocol_is_unix(a->protocol))
		return strcmp(a->path, b->path) == 0;
	return a->port == b->port && strcmp(a->address, b->address) == 0;
}

/* The first of the listeners before number i that is the same, or NULL. */
static const struct listener_config *
find_duplicate(const struct listener_config *listeners, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (is_same(&listeners[j], &listeners[i]))
			return &listeners[j];
	return NULL;
}

/* The settings of a group but its protocol. */
static void
read_others(struct setting_reader *reader, const config_setting_t *group,
    struct listener_config *listener)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group,
		    (unsigned)i);
		const struct setting_rule *rule = setting_find_rule(reader,
		    setting, rules);

		if (rule == NULL || rule == rules)
			continue;
		if (rule->protocols != 0 &&
		    (rule->protocols & 1U << listener->protocol) == 0)
			setting_complain(reader, setting,
			    "does not apply to a %s listener",
			    protocol_name(listener->protocol));
		else
			setting_read(reader, setting, rule, listener);
	}
}

static void
read_group(struct setting_reader *reader, const config_setting_t *group,
    struct listener_config *listener)
{
	const config_setting_t *protocol;
	int errors_before = reader->error_count;

	if (!config_setting_is_group(group)) {
		setting_complain(reader, group,
		    "needs a group: { protocol = ...; }");
		return;
	}
	protocol = config_setting_get_member(group, "protocol");
	if (protocol == NULL) {
		setting_complain(reader, group, "needs a protocol");
		return;
	}
	setting_read(reader, protocol, rules, listener);
	if (reader->error_count > errors_before)
		return;
	listener_config_default(listener, listener->protocol);
	read_others(reader, group, listener);
	if (reader->error_count == errors_before &&
	    protocol_is_unix(listener->protocol) && listener->path[0] == '\0')
		setting_complain(reader, group, "needs a path");
}

void
listener_config_read(struct setting_reader *reader,
    const config_setting_t *group, struct listener_config *listeners, size_t i)
{
	int errors_before = reader->error_count;

	read_group(reader, group, &listeners[i]);
	if (reader->error_count > errors_before)
		return;
	snprintf(listeners[i].where, sizeof(listeners[i].where), "%s:%d",
	    reader->path, (int)config_setting_source_line(group));
	const struct listener_config *twin = find_duplicate(listeners, i);
	if (twin != NULL)
		setting_complain(reader, group, "is the same as the one at %s",
		    twin->where);
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" */
static bool
parse_inet(struct listener_config *listener, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	char *end;

	if (colon != NULL) {
		const char *address = text;
		size_t len = (size_t)(colon - text);

		if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
			address++;
			len -= 2;
		} else if (memchr(text, ':', len) != NULL) {
			return false;
		}
		if (len == 0 || len >= sizeof(listener->address))
			return false;
		memcpy(listener->address, address, len);
		listener->address[len] = '\0';
	}
	unsigned long number = strtoul(port, &end, 10);
	if (port[0] >= '0' && port[0] <= '9' && *end == '\0') {
		listener->port = (int)number;
		return number <= 65535;
	}
	listener->port = service_port(port, listener->protocol);
	return listener->port != -1;
}

static bool
parse(struct listener_config *listener, const char *spec)
{
	const char *rest = strchr(spec, ':');
	char name[32];

	if (rest == NULL || (size_t)(rest - spec) >= sizeof(name))
		return false;
	memcpy(name, spec, (size_t)(rest - spec));
	name[rest - spec] = '\0';
	rest++;
	int protocol = protocol_parse(name);
	if (protocol == -1)
		return false;
	listener_config_default(listener, (enum protocol)protocol);
	snprintf(listener->where, sizeof(listener->where), "-l %s", spec);
	if (!protocol_is_unix(listener->protocol))
		return parse_inet(listener, rest);
	if (rest[0] != '/' || strlen(rest) >= sizeof(listener->path))
		return false;
	strcpy(listener->path, rest);
	return true;
}

int
listener_config_parse(struct listener_config *listeners, size_t i,
    const char *spec, FILE *errors)
{
	if (!parse(&listeners[i], spec)) {
		fprintf(errors,
		    "-l %s: needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
		    "unix:/path, unix-dgram:/path or unix-seqpacket:/path; "
		    "ports to 65535, paths to %zu bytes\n",
		    spec, sizeof(listeners[i].path) - 1);
		return -1;
	}
	if (find_duplicate(listeners, i) != NULL) {
		fprintf(errors, "-l %s: given twice\n", spec);
		return -1;
	}
	return 0;
}
