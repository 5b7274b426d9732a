#include "config/listener_config.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/access_reader.h"
#include "config/setting.h"

#define DEFAULT_PORT 21567

static void
read_address(const struct setting *setting, const char *text, void *base)
{
	struct listener_config *listener = base;
	char why[ADDRESS_WHY_MAX];

	if (address_parse(text, listener->address, why) == -1)
		setting_complain(setting, "%s", why);
}

static bool
is_absolute(const char *path)
{
	return path[0] == '/';
}

static int
parse_mode(const char *text)
{
	if (text[0] == '\0' || text[strspn(text, "01234567")] != '\0')
		return -1;
	unsigned long mode = strtoul(text, NULL, 8);
	return mode <= 0777 ? (int)mode : -1;
}

/* -1 when no such service is known. */
static int
service_port(const char *name, enum protocol protocol)
{
	struct servent entry, *found = NULL;
	char buffer[1024];

	getservbyname_r(name, protocol_name(protocol), &entry, buffer,
	    sizeof(buffer), &found);
	return found == NULL ? -1 : ntohs((uint16_t)found->s_port);
}

static void
read_service(const struct setting *setting, const char *text, void *base)
{
	struct listener_config *listener = base;

	listener->port = service_port(text, listener->protocol);
	if (listener->port == -1 && setting_option(setting) != NULL)
		setting_complain(setting,
		    "\"%s\" is not a number or a %s service in /etc/services",
		    text, protocol_name(listener->protocol));
	else if (listener->port == -1)
		setting_complain(setting,
		    "\"%s\" is not a %s service in /etc/services; a number "
		    "needs no quotes",
		    text, protocol_name(listener->protocol));
}

static const char *const proxy_names[] = {
	[PROXY_OFF] = "off",
	[PROXY_ACCEPT] = "accept",
	[PROXY_REQUIRE] = "require",
};

const char *
listener_config_proxy_name(enum proxy_mode mode)
{
	return proxy_names[mode];
}

static int
parse_proxy(const char *text)
{
	for (int mode = PROXY_OFF; mode <= PROXY_REQUIRE; mode++)
		if (strcmp(text, proxy_names[mode]) == 0)
			return mode;
	return -1;
}

/* Each element of the list that is not a prefix has a complaint of its own. */
static void
read_proxies(const struct setting *list, void *base)
{
	struct listener_config *listener = base;
	int count = config_setting_length(list->node);
	char why[PREFIX_WHY_MAX];
	const char *text;

	if (!config_setting_is_aggregate(list->node) ||
	    config_setting_is_group(list->node) ||
	    count > LISTENER_CONFIG_PROXIES_MAX) {
		setting_complain(list,
		    "needs a list of at most %d addresses: [ \"192.0.2.1\", "
		    "\"10.0.0.0/8\" ]",
		    LISTENER_CONFIG_PROXIES_MAX);
		return;
	}
	for (int i = 0; i < count; i++) {
		struct setting member = setting_member(list, i);
		text = config_setting_get_string(member.node);
		if (text == NULL)
			setting_complain(&member, "needs text in \"quotes\"");
		else if (prefix_parse(text, &listener->proxy_from[i], why) ==
			 -1)
			setting_complain(&member, "\"%s\" %s", text, why);
	}
	listener->proxy_from_count = count;
}

#define INET (1U << PROTOCOL_TCP | 1U << PROTOCOL_UDP)
#define UNIX (~INET)
#define STREAM (1U << PROTOCOL_TCP | 1U << PROTOCOL_UNIX)
#define CONNECTION (STREAM | 1U << PROTOCOL_UNIX_SEQPACKET)
#define DATAGRAM (1U << PROTOCOL_UDP | 1U << PROTOCOL_UNIX_DGRAM)

#define IN(field)                                                              \
	.offset = offsetof(struct listener_config, field),                     \
	.size = sizeof(((struct listener_config *)0)->field)

void
listener_config_read_format(const struct setting *setting, const char *text,
    struct stamp_format *format)
{
	char error[256];

	if (stamp_format_compile(format, text, error, sizeof(error)) == 0)
		return;
	if (strchr(text, '%') == NULL && text[0] != '\0')
		setting_complain_choice(setting, text,
		    "\"ctime\", \"rfc3339\", \"epoch\", the last two also "
		    "with -ms, -us or -ns, and a pattern of strftime(3) such "
		    "as \"%F %T\"");
	else
		setting_complain(setting, "\"%s\": %s", text, error);
}

static void
read_format(const struct setting *setting, const char *text, void *base)
{
	listener_config_read_format(setting, text,
	    &((struct listener_config *)base)->stamp);
}

static const struct setting_rule stamp_rules[] = {
	{ "format", IN(stamp.text), .read_text = read_format },
	{ "timezone", IN(timezone), .is_valid = stamp_zone_exists,
	    .needs = "\"local\", \"UTC\" or a time zone of this system, "
		     "such as \"Europe/Berlin\"" },
	{ .name = NULL },
};

/* As a list is read: the rules of a group inside a group are its own. */
static void
read_stamp(const struct setting *group, void *base)
{
	const struct listener_config *listener = base;

	setting_read_group(group, stamp_rules, listener->protocol, base);
}

static const struct setting_rule rules[] = {
	/* Read first: which of the others are allowed depends on it. */
	{ "protocol", IN(protocol), .parse = protocol_parse,
	    .choices = "\"tcp\", \"udp\", \"unix\", \"unix-dgram\" and "
		       "\"unix-seqpacket\"" },
	{ "address", IN(address), .protocols = INET,
	    .read_text = read_address },
	{ "port", IN(port), .protocols = INET, .read_text = read_service,
	    .max = 65535 },
	{ "path", IN(path), .protocols = UNIX, .is_valid = is_absolute,
	    .needs = "an absolute path of at most 107 bytes" },
	{ "mode", IN(mode), .protocols = UNIX, .parse = parse_mode,
	    .needs = "an octal mode from \"0000\" to \"0777\"" },
	{ "backlog", IN(backlog), .protocols = CONNECTION, .min = 1,
	    .max = 65535 },
	{ "receive_buffer", IN(receive_buffer), .protocols = 1U << PROTOCOL_TCP,
	    .min = 4096, .max = 64 << 20, .unit = "bytes" },
	{ "idle_timeout", IN(idle_timeout), .protocols = CONNECTION,
	    .max = 365 * 24 * 60 * 60, .unit = "seconds" },
	{ "stamp", .read_list = read_stamp, .members = stamp_rules },
	{ "framing", IN(framing), .protocols = STREAM, .parse = framing_parse,
	    .choices = "\"chunk\" and \"line\"" },
	{ "proxy_protocol", IN(proxy), .protocols = STREAM,
	    .parse = parse_proxy,
	    .choices = "\"off\", \"accept\" and \"require\"" },
	{ "proxy_from", .protocols = 1U << PROTOCOL_TCP,
	    .read_list = read_proxies },
	{ "max_datagram", IN(max_datagram), .protocols = DATAGRAM, .min = 1,
	    .max = LISTENER_CONFIG_DATAGRAM_MAX, .unit = "bytes" },
	{ "threads", IN(threads), .protocols = 1U << PROTOCOL_UDP, .min = 1,
	    .max = 64 },
	{ "abstract_clients", IN(abstract_clients),
	    .protocols = 1U << PROTOCOL_UNIX_DGRAM, .is_flag = true },
	{ "allow", .protocols = INET, .read_list = access_leave },
	{ "deny", .protocols = INET, .read_list = access_leave },
	{ "allow_file", .protocols = INET, .read_list = access_leave,
	    .needs = "a path" },
	{ "deny_file", .protocols = INET, .read_list = access_leave,
	    .needs = "a path" },
	{ .name = NULL },
};

const struct setting_rule *
listener_config_rules(void)
{
	return rules;
}

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
	listener->receive_buffer = 80 << 10;
	listener->framing = FRAMING_CHUNK;
	listener->idle_timeout = -1;
	listener->max_datagram = 1400;
	listener->threads = 1;
}

/* The first of the listeners before number i that is the same, or NULL. */
static const struct listener_config *
find_duplicate(const struct listener_config *listeners, size_t i)
{
	const struct listener_config *own = &listeners[i], *other;

	for (other = listeners; other < own; other++)
		if (other->protocol == own->protocol &&
		    other->port == own->port &&
		    strcmp(other->address, own->address) == 0 &&
		    strcmp(other->path, own->path) == 0)
			return other;
	return NULL;
}

static void
set_where(struct listener_config *listener, const struct setting *group)
{
	const char *option = setting_option(group);

	if (option != NULL)
		snprintf(listener->where, sizeof(listener->where), "%s",
		    option);
	else
		snprintf(listener->where, sizeof(listener->where), "%s:%d",
		    group->file->path,
		    (int)config_setting_source_line(group->node));
}

/* For all that is wrong in a listener whose protocol is wrong. */
static void
read_anyway(const struct setting *group, struct listener_config *listener)
{
	listener_config_default(listener, PROTOCOL_TCP);
	for (int i = 0; i < config_setting_length(group->node); i++) {
		struct setting setting = setting_member(group, i);
		const struct setting_rule *rule = setting_find_rule(&setting,
		    rules);
		if (rule != NULL)
			setting_read(&setting, rule, listener);
	}
}

void
listener_config_read(const struct setting *group,
    struct listener_config *listeners, size_t i)
{
	struct listener_config *listener = &listeners[i];
	int errors_before = group->file->error_count;
	struct setting protocol = { group->file,
		config_setting_get_member(group->node, "protocol") };

	if (protocol.node == NULL) {
		setting_complain(group,
		    "needs a protocol: { protocol = \"tcp\"; ... }");
		return;
	}
	setting_read(&protocol, rules, listener);
	if (group->file->error_count > errors_before) {
		read_anyway(group, listener);
		return;
	}
	listener_config_default(listener, listener->protocol);
	set_where(listener, group);
	setting_read_group(group, rules, listener->protocol, listener);
	if (group->file->error_count > errors_before)
		return;
	const struct listener_config *twin = find_duplicate(listeners, i);
	if (protocol_is_unix(listener->protocol) && listener->path[0] == '\0')
		setting_complain(group,
		    "needs a path: { protocol = \"%s\"; path = \"/...\"; }",
		    protocol_name(listener->protocol));
	else if (listener->protocol == PROTOCOL_TCP &&
		 listener->proxy != PROXY_OFF &&
		 listener->proxy_from_count == 0)
		setting_complain(group,
		    "proxy_protocol needs proxy_from, the addresses of the "
		    "proxies that may say who the client is");
	else if (twin != NULL && setting_option(group) != NULL)
		setting_complain(group, "is given twice");
	else if (twin != NULL)
		setting_complain(group, "is the same as the one at %s",
		    twin->where);
}

static void
add_text(config_setting_t *group, const char *name, const char *text)
{
	config_setting_set_string(config_setting_add(group, name,
				      CONFIG_TYPE_STRING),
	    text);
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" */
static bool
split_inet(config_setting_t *group, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	char address[256];

	/* A URL, or an address without a port: a service has no such name. */
	if (text[0] == '/' || (colon == NULL && strpbrk(text, "./") != NULL))
		return false;
	if (colon != NULL) {
		size_t len = (size_t)(colon - text);
		bool has_brackets = text[0] == '[' && colon[-1] == ']';
		if (!has_brackets && memchr(text, ':', len) != NULL)
			return false;
		text += has_brackets ? 1 : 0;
		len -= has_brackets ? 2 : 0;
		if (len == 0 || len >= sizeof(address))
			return false;
		*(char *)mempcpy(address, text, len) = '\0';
		add_text(group, "address", address);
	}
	if (port[0] == '\0' || strlen(port) > 32)
		return false;
	if (port[strspn(port, "0123456789")] != '\0')
		add_text(group, "port", port);
	else
		config_setting_set_int64(config_setting_add(group, "port",
					     CONFIG_TYPE_INT64),
		    strtoll(port, NULL, 10));
	return true;
}

bool
listener_config_split(config_setting_t *group, const char *text)
{
	const char *rest = strchrnul(text, ':');
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)(rest - text), text);
	int protocol = protocol_parse(name);
	if (protocol == -1 || *rest == '\0')
		return false;
	rest++;
	add_text(group, "protocol", name);
	if (!protocol_is_unix((enum protocol)protocol))
		return split_inet(group, rest);
	add_text(group, "path", rest);
	return rest[0] == '/';
}
