#include "config/config.h"

#include <libconfig.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"

#define DAY (24 * 60 * 60)
#define DEFAULT_PORT 21567

/* The state of one config_load. */
struct reader {
	const struct config_file *source;
	struct config *config;
	FILE *errors;
	int error_count;
};

/* A setting that may stand in a group, and where its value goes. */
struct rule {
	const char *name;
	void (*read)(struct reader *reader, const config_setting_t *setting,
	    const struct rule *rule, void *value);
	size_t offset;      /* of the value in its struct */
	int min, max;       /* of a number */
	unsigned protocols; /* of the listeners that have it; 0: all */
};

static void complain(struct reader *reader, const config_setting_t *setting,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "listeners[1].port", "limits.idle_timeout", "workers" */
static void
print_name(FILE *out, const config_setting_t *setting)
{
	const config_setting_t *parent = config_setting_parent(setting);
	const config_setting_t *list;

	if (parent != NULL && !config_setting_is_root(parent)) {
		list = config_setting_parent(parent);
		if (config_setting_name(parent) != NULL)
			fprintf(out, "%s", config_setting_name(parent));
		else if (list != NULL)
			fprintf(out, "%s[%d]", config_setting_name(list),
			    config_setting_index(parent));
		if (config_setting_name(setting) == NULL) {
			fprintf(out, "[%d]", config_setting_index(setting));
			return;
		}
		fputc('.', out);
	}
	fprintf(out, "%s", config_setting_name(setting));
}

static void
complain(struct reader *reader, const config_setting_t *setting,
    const char *format, ...)
{
	size_t line = config_setting_source_line(setting);
	va_list args;

	fprintf(reader->errors,
	    "%s:%zu: ", config_file_file(reader->source, line),
	    config_file_line(reader->source, line));
	print_name(reader->errors, setting);
	fprintf(reader->errors, ": ");
	va_start(args, format);
	vfprintf(reader->errors, format, args);
	va_end(args);
	fputc('\n', reader->errors);
	reader->error_count++;
}

/* The text of a string setting; NULL, after a complaint, for another type. */
static const char *
string_of(struct reader *reader, const config_setting_t *setting)
{
	const char *text = config_setting_get_string(setting);

	if (text == NULL)
		complain(reader, setting, "wants text in \"quotes\"");
	return text;
}

static void
read_integer(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	int type = config_setting_type(setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		complain(reader, setting, "wants a whole number from %d to %d",
		    rule->min, rule->max);
		return;
	}
	long long number = config_setting_get_int64(setting);
	if (number < rule->min || number > rule->max)
		complain(reader, setting,
		    "%lld is out of range: %d to %d are allowed", number,
		    rule->min, rule->max);
	else
		*(int *)value = (int)number;
}

static void
read_log_level(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	int level = log_level_parse(text);
	if (level == -1)
		complain(reader, setting,
		    "\"%s\" is none of \"error\", \"warning\", \"info\" and "
		    "\"debug\"",
		    text);
	else
		*(int *)value = level;
}

static void
read_format(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);
	char error[256];

	(void)rule;
	if (text != NULL &&
	    stamp_format_compile(value, text, error, sizeof(error)) == -1)
		complain(reader, setting, "\"%s\": %s", text, error);
}

static void
read_timezone(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	if (strlen(text) >= sizeof(reader->config->timezone) ||
	    !stamp_zone_exists(text))
		complain(reader, setting,
		    "\"%s\" is neither \"local\" nor \"UTC\" nor a time zone "
		    "of this system",
		    text);
	else
		strcpy(value, text);
}

static void
read_source(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	if (strcmp(text, "clock") != 0 && strcmp(text, "arrival") != 0)
		complain(reader, setting,
		    "\"%s\" is neither \"clock\" nor \"arrival\"", text);
	else
		*(bool *)value = strcmp(text, "arrival") == 0;
}

static void
read_address(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	if (text[0] == '\0' || strlen(text) >= CONFIG_HOST_MAX)
		complain(reader, setting,
		    "wants \"*\", an IP address or a host name");
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
read_port(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = config_setting_get_string(setting);
	struct config_listener *listener =
	    (struct config_listener *)((char *)value - rule->offset);

	if (text == NULL) {
		read_integer(reader, setting, rule, value);
		return;
	}
	int port = service_port(text, listener->protocol);
	if (port == -1)
		complain(reader, setting,
		    "\"%s\" is no %s service in /etc/services; a number wants "
		    "no quotes",
		    text, protocol_name(listener->protocol));
	else
		listener->port = port;
}

static void
read_path(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);
	size_t room = sizeof(((struct config_listener *)value)->path);

	(void)rule;
	if (text == NULL)
		return;
	if (text[0] != '/')
		complain(reader, setting, "\"%s\" is no absolute path", text);
	else if (strlen(text) >= room)
		complain(reader, setting,
		    "the path has %zu bytes, but a socket's has at most %zu",
		    strlen(text), room - 1);
	else
		strcpy(value, text);
}

static void
read_mode(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);
	char *end;

	(void)rule;
	if (text == NULL)
		return;
	unsigned long mode = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode > 0777)
		complain(reader, setting,
		    "\"%s\" is no octal mode from \"0000\" to \"0777\"", text);
	else
		*(mode_t *)value = (mode_t)mode;
}

static void
read_framing(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	int framing = framing_parse(text);
	if (framing == -1)
		complain(reader, setting,
		    "\"%s\" is neither \"chunk\" nor \"line\"", text);
	else
		*(enum framing *)value = (enum framing)framing;
}

/* As systemd.socket(5) has it; names of our own begin with a dot. */
static void
read_fd_name(struct reader *reader, const config_setting_t *setting,
    const struct rule *rule, void *value)
{
	const char *text = string_of(reader, setting);

	(void)rule;
	if (text == NULL)
		return;
	size_t len = strlen(text);
	bool good = len > 0 && len < CONFIG_FD_NAME_MAX && text[0] != '.';
	for (size_t i = 0; i < len; i++)
		good = good && text[i] >= ' ' && text[i] <= '~' &&
		       text[i] != ':';
	if (good)
		strcpy(value, text);
	else
		complain(reader, setting,
		    "\"%s\" is no FileDescriptorName=: 1 to %d ASCII "
		    "characters without ':' and without '.' at the start",
		    text, CONFIG_FD_NAME_MAX - 1);
}

#define INET (1U << PROTOCOL_TCP | 1U << PROTOCOL_UDP)
#define UNIX                                                                   \
	(1U << PROTOCOL_UNIX | 1U << PROTOCOL_UNIX_DGRAM |                     \
	    1U << PROTOCOL_UNIX_SEQPACKET)
#define STREAM (1U << PROTOCOL_TCP | 1U << PROTOCOL_UNIX)
#define CONNECTION (STREAM | 1U << PROTOCOL_UNIX_SEQPACKET)
#define DATAGRAM (1U << PROTOCOL_UDP | 1U << PROTOCOL_UNIX_DGRAM)

#define IN_CONFIG(field) offsetof(struct config, field)
#define IN_LISTENER(field) offsetof(struct config_listener, field)

static const struct rule root_rules[] = {
	{ "log_level", read_log_level, IN_CONFIG(log_level), 0, 0, 0 },
	{ "workers", read_integer, IN_CONFIG(workers), 0, 1024, 0 },
	{ NULL, NULL, 0, 0, 0, 0 },
};

static const struct rule limits_rules[] = {
	{ "max_connections", read_integer, IN_CONFIG(max_connections), 1,
	    1000000, 0 },
	{ "idle_timeout", read_integer, IN_CONFIG(idle_timeout), 0, 365 * DAY,
	    0 },
	{ "send_timeout", read_integer, IN_CONFIG(send_timeout), 0, 365 * DAY,
	    0 },
	{ "drain_timeout", read_integer, IN_CONFIG(drain_timeout), 0, DAY, 0 },
	{ NULL, NULL, 0, 0, 0, 0 },
};

static const struct rule stamp_rules[] = {
	{ "format", read_format, IN_CONFIG(stamp), 0, 0, 0 },
	{ "timezone", read_timezone, IN_CONFIG(timezone), 0, 0, 0 },
	{ "source", read_source, IN_CONFIG(arrival), 0, 0, 0 },
	{ NULL, NULL, 0, 0, 0, 0 },
};

static const struct rule udp_rules[] = {
	{ "rate_limit", read_integer, IN_CONFIG(rate_limit), 0, 1000000, 0 },
	{ "rate_burst", read_integer, IN_CONFIG(rate_burst), 1, 1000000, 0 },
	{ NULL, NULL, 0, 0, 0, 0 },
};

static const struct {
	const char *name;
	const struct rule *rules;
} groups[] = {
	{ "limits", limits_rules },
	{ "stamp", stamp_rules },
	{ "udp", udp_rules },
};

static const struct rule listener_rules[] = {
	/* read first: which of the others may stand depends on it */
	{ "protocol", NULL, 0, 0, 0, 0 },
	{ "address", read_address, IN_LISTENER(address), 0, 0, INET },
	{ "port", read_port, IN_LISTENER(port), 0, 65535, INET },
	{ "path", read_path, IN_LISTENER(path), 0, 0, UNIX },
	{ "mode", read_mode, IN_LISTENER(mode), 0, 0, UNIX },
	{ "backlog", read_integer, IN_LISTENER(backlog), 1, 65535, CONNECTION },
	{ "framing", read_framing, IN_LISTENER(framing), 0, 0, STREAM },
	{ "max_datagram", read_integer, IN_LISTENER(max_datagram), 1,
	    CONFIG_DATAGRAM_MAX, DATAGRAM },
	{ "threads", read_integer, IN_LISTENER(threads), 1, CONFIG_THREADS_MAX,
	    1U << PROTOCOL_UDP },
	{ "fd_name", read_fd_name, IN_LISTENER(fd_name), 0, 0, 0 },
	{ NULL, NULL, 0, 0, 0, 0 },
};

static const struct rule *
find_rule(const struct rule *rules, const char *name)
{
	for (; rules->name != NULL; rules++)
		if (strcmp(rules->name, name) == 0)
			return rules;
	return NULL;
}

static void
complain_unknown(struct reader *reader, const config_setting_t *setting,
    const struct rule *rules)
{
	char known[256] = "";

	for (; rules->name != NULL; rules++) {
		strncat(known, " ", sizeof(known) - strlen(known) - 1);
		strncat(known, rules->name, sizeof(known) - strlen(known) - 1);
	}
	complain(reader, setting, "no such setting; there are:%s", known);
}

static void
read_setting(struct reader *reader, const config_setting_t *setting,
    const struct rule *rules, void *base)
{
	const struct rule *rule = find_rule(rules,
	    config_setting_name(setting));

	if (rule == NULL)
		complain_unknown(reader, setting, rules);
	else
		rule->read(reader, setting, rule, (char *)base + rule->offset);
}

static void
read_group(struct reader *reader, const config_setting_t *group,
    const struct rule *rules)
{
	if (!config_setting_is_group(group)) {
		complain(reader, group, "wants a group: { ... }");
		return;
	}
	for (int i = 0; i < config_setting_length(group); i++)
		read_setting(reader,
		    config_setting_get_elem(group, (unsigned)i), rules,
		    reader->config);
}

void
config_listener_defaults(struct config_listener *listener,
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
same_listener(const struct config_listener *a, const struct config_listener *b)
{
	if (a->protocol != b->protocol || strcmp(a->fd_name, b->fd_name) != 0)
		return false;
	if (protocol_is_unix(a->protocol))
		return strcmp(a->path, b->path) == 0;
	return a->port == b->port && strcmp(a->address, b->address) == 0;
}

/* The listener of config before number i that is the same; NULL if none is. */
static const struct config_listener *
find_duplicate(const struct config *config, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (same_listener(&config->listeners[j], &config->listeners[i]))
			return &config->listeners[j];
	return NULL;
}

/* -1 after a complaint. */
static int
find_protocol(struct reader *reader, const config_setting_t *group)
{
	config_setting_t *setting = config_setting_get_member(group,
	    "protocol");
	const char *text;

	if (setting == NULL) {
		complain(reader, group, "wants a protocol");
		return -1;
	}
	if ((text = string_of(reader, setting)) == NULL)
		return -1;
	int protocol = protocol_parse(text);
	if (protocol == -1)
		complain(reader, setting,
		    "\"%s\" is none of \"tcp\", \"udp\", \"unix\", "
		    "\"unix-dgram\" and \"unix-seqpacket\"",
		    text);
	return protocol;
}

static void
read_listener(struct reader *reader, const config_setting_t *group, size_t i)
{
	struct config_listener *listener = &reader->config->listeners[i];
	size_t line = config_setting_source_line(group);
	int before = reader->error_count;

	if (!config_setting_is_group(group)) {
		complain(reader, group, "wants a group: { protocol = ...; }");
		return;
	}
	int protocol = find_protocol(reader, group);
	if (protocol == -1)
		return;
	config_listener_defaults(listener, (enum protocol)protocol);
	snprintf(listener->where, sizeof(listener->where), "%s:%zu",
	    config_file_file(reader->source, line),
	    config_file_line(reader->source, line));
	for (int j = 0; j < config_setting_length(group); j++) {
		config_setting_t *setting = config_setting_get_elem(group,
		    (unsigned)j);
		const struct rule *rule = find_rule(listener_rules,
		    config_setting_name(setting));
		if (rule != NULL && rule->read == NULL)
			continue;
		if (rule != NULL && rule->protocols != 0 &&
		    (rule->protocols & 1U << protocol) == 0)
			complain(reader, setting, "a %s listener has none",
			    protocol_name((enum protocol)protocol));
		else
			read_setting(reader, setting, listener_rules, listener);
	}
	if (reader->error_count > before)
		return;
	if (protocol_is_unix(listener->protocol) && listener->path[0] == '\0')
		complain(reader, group, "wants a path");
	const struct config_listener *twin = find_duplicate(reader->config, i);
	if (twin != NULL)
		complain(reader, group, "is the same as the one at %s",
		    twin->where);
}

static void
read_listeners(struct reader *reader, const config_setting_t *list)
{
	struct config *config = reader->config;
	size_t count = (size_t)config_setting_length(list);

	if (!config_setting_is_list(list) || count == 0) {
		complain(reader, list,
		    "wants a list of at least one listener: ( { ... } )");
		return;
	}
	struct config_listener *listeners = calloc(count, sizeof(*listeners));
	if (listeners == NULL) {
		complain(reader, list, "out of memory");
		return;
	}
	free(config->listeners);
	config->listeners = listeners;
	config->built_in_listeners = false;
	for (size_t i = 0; i < count; i++) {
		config->listener_count = i + 1;
		read_listener(reader,
		    config_setting_get_elem(list, (unsigned)i), i);
	}
}

static void
read_root(struct reader *reader, const config_setting_t *setting)
{
	const char *name = config_setting_name(setting);

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strcmp(groups[i].name, name) == 0) {
			read_group(reader, setting, groups[i].rules);
			return;
		}
	if (strcmp(name, "listeners") == 0)
		read_listeners(reader, setting);
	else if (find_rule(root_rules, name) != NULL)
		read_setting(reader, setting, root_rules, reader->config);
	else
		complain(reader, setting,
		    "no such setting; there are: log_level workers limits "
		    "stamp udp listeners");
}

static void
read_text(struct reader *reader)
{
	config_t parsed;

	config_init(&parsed);
	if (config_read_string(&parsed, config_file_text(reader->source)) ==
	    CONFIG_FALSE) {
		size_t line = (size_t)config_error_line(&parsed);
		fprintf(reader->errors, "%s:%zu: %s\n",
		    config_file_file(reader->source, line),
		    config_file_line(reader->source, line),
		    config_error_text(&parsed));
		reader->error_count++;
	} else {
		config_setting_t *root = config_root_setting(&parsed);
		for (int i = 0; i < config_setting_length(root); i++)
			read_root(reader,
			    config_setting_get_elem(root, (unsigned)i));
	}
	config_destroy(&parsed);
}

static struct config *
config_default(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL)
		return NULL;
	config->log_level = LOG_INFO;
	config->max_connections = 10000;
	config->idle_timeout = 300;
	config->send_timeout = 30;
	config->drain_timeout = 5;
	stamp_format_compile(&config->stamp, "ctime", NULL, 0);
	strcpy(config->timezone, "local");
	config->rate_limit = 1000;
	config->rate_burst = 1000;
	config->built_in_listeners = true;
	config->listener_count = 2;
	config->listeners = calloc(config->listener_count,
	    sizeof(*config->listeners));
	if (config->listeners == NULL) {
		free(config);
		return NULL;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		config_listener_defaults(&config->listeners[i],
		    i == 0 ? PROTOCOL_TCP : PROTOCOL_UDP);
		strcpy(config->listeners[i].where, "built in");
	}
	return config;
}

struct config *
config_load(const char *path, FILE *errors)
{
	struct config *config = config_default();
	struct reader reader = { .config = config, .errors = errors };
	struct config_file *source = NULL;

	if (config == NULL) {
		fprintf(errors, "out of memory\n");
		return NULL;
	}
	if (path == NULL)
		return config;
	source = config_file_read(path, errors);
	if (source == NULL) {
		config_free(config);
		return NULL;
	}
	reader.source = source;
	read_text(&reader);
	config_file_free(source);
	if (reader.error_count > 0) {
		config_free(config);
		return NULL;
	}
	return config;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	free(config->listeners);
	free(config);
}

/* "PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT" */
static bool
parse_inet_spec(struct config_listener *listener, const char *text)
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
parse_spec(struct config_listener *listener, const char *spec)
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
	config_listener_defaults(listener, (enum protocol)protocol);
	snprintf(listener->where, sizeof(listener->where), "-l %s", spec);
	if (!protocol_is_unix(listener->protocol))
		return parse_inet_spec(listener, rest);
	if (rest[0] != '/' || strlen(rest) >= sizeof(listener->path))
		return false;
	strcpy(listener->path, rest);
	return true;
}

int
config_set_listeners(struct config *config, char *const *specs, size_t count,
    FILE *errors)
{
	int error_count = 0;
	struct config_listener *listeners = calloc(count, sizeof(*listeners));

	if (listeners == NULL) {
		fprintf(errors, "out of memory\n");
		return -1;
	}
	free(config->listeners);
	config->listeners = listeners;
	config->listener_count = count;
	config->built_in_listeners = false;
	for (size_t i = 0; i < count; i++) {
		if (!parse_spec(&listeners[i], specs[i])) {
			fprintf(errors,
			    "-l %s: wants tcp:PORT, udp:ADDRESS:PORT, "
			    "tcp:[::1]:PORT, unix:/path, unix-dgram:/path or "
			    "unix-seqpacket:/path; ports to 65535, paths to "
			    "%zu bytes\n",
			    specs[i], sizeof(listeners[i].path) - 1);
			error_count++;
		} else if (find_duplicate(config, i) != NULL) {
			fprintf(errors, "-l %s: given twice\n", specs[i]);
			error_count++;
		}
	}
	return error_count > 0 ? -1 : 0;
}
