#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/setting.h"

#define DAY (24 * 60 * 60)

static void
read_format(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	char error[256];

	if (stamp_format_compile(value, text, error, sizeof(error)) == -1)
		setting_complain(reader, setting, "\"%s\": %s", text, error);
}

static void
read_timezone(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	if (strlen(text) >= sizeof(((struct config *)value)->timezone) ||
	    !stamp_zone_exists(text))
		setting_complain(reader, setting,
		    "\"%s\" is neither \"local\" nor \"UTC\" nor a time zone "
		    "of this system",
		    text);
	else
		strcpy(value, text);
}

static void
read_source(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	if (strcmp(text, "clock") != 0 && strcmp(text, "arrival") != 0)
		setting_complain(reader, setting,
		    "\"%s\" is none of \"clock\" and \"arrival\"", text);
	else
		*(bool *)value = strcmp(text, "arrival") == 0;
}

/* "" switches the control socket off. */
static void
read_control(struct setting_reader *reader, const config_setting_t *setting,
    const char *text, void *value)
{
	if (text[0] == '\0')
		*(char *)value = '\0';
	else
		setting_read_path(reader, setting, text, value);
}

#define IN(field) offsetof(struct config, field)

static const struct setting_rule limits_rules[] = {
	{ "max_connections", .offset = IN(max_connections), .min = 1,
	    .max = 1000000 },
	{ "idle_timeout", .offset = IN(idle_timeout), .max = 365 * DAY },
	{ "send_timeout", .offset = IN(send_timeout), .max = 365 * DAY },
	{ "drain_timeout", .offset = IN(drain_timeout), .max = DAY },
	{ .name = NULL },
};

static const struct setting_rule stamp_rules[] = {
	{ "format", .read_text = read_format, .offset = IN(stamp) },
	{ "timezone", .read_text = read_timezone, .offset = IN(timezone) },
	{ "source", .read_text = read_source, .offset = IN(arrival) },
	{ .name = NULL },
};

static const struct setting_rule udp_rules[] = {
	{ "rate_limit", .offset = IN(rate_limit), .max = 1000000 },
	{ "rate_burst", .offset = IN(rate_burst), .min = 1, .max = 1000000 },
	{ .name = NULL },
};

static const struct setting_rule root_rules[] = {
	{ "log_level", .parse = log_level_parse, .offset = IN(log_level),
	    .choices = "\"error\", \"warning\", \"info\" and \"debug\"" },
	{ "workers", .offset = IN(workers), .max = 1024 },
	{ "control", .read_text = read_control, .offset = IN(control) },
	{ "limits", .members = limits_rules },
	{ "stamp", .members = stamp_rules },
	{ "udp", .members = udp_rules },
	{ .name = "listeners" }, /* see read_listeners */
	{ .name = NULL },
};

static void
read_group(struct setting_reader *reader, const config_setting_t *group,
    const struct setting_rule *members, struct config *config)
{
	if (!config_setting_is_group(group)) {
		setting_complain(reader, group, "needs a group: { ... }");
		return;
	}
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group,
		    (unsigned)i);
		const struct setting_rule *rule = setting_find_rule(reader,
		    setting, members);
		if (rule != NULL)
			setting_read(reader, setting, rule, config);
	}
}

/* Room for count listeners in place of those before.  -1: out of memory. */
static int
replace_listeners(struct config *config, size_t count)
{
	struct listener_config *listeners = calloc(count, sizeof(*listeners));

	if (listeners == NULL)
		return -1;
	free(config->listeners);
	config->listeners = listeners;
	config->listener_count = count;
	config->built_in_listeners = false;
	return 0;
}

static void
read_listeners(struct setting_reader *reader, const config_setting_t *list,
    struct config *config)
{
	size_t count = (size_t)config_setting_length(list);

	if (!config_setting_is_list(list) || count == 0) {
		setting_complain(reader, list,
		    "needs a list of at least one listener: ( { ... } )");
		return;
	}
	if (replace_listeners(config, count) == -1) {
		setting_complain(reader, list, "out of memory");
		return;
	}
	for (size_t i = 0; i < count; i++)
		listener_config_read(reader,
		    config_setting_get_elem(list, (unsigned)i),
		    config->listeners, i);
}

static void
read_root(struct setting_reader *reader, const config_setting_t *setting,
    struct config *config)
{
	const struct setting_rule *rule = setting_find_rule(reader, setting,
	    root_rules);

	if (rule == NULL)
		return;
	if (rule->members != NULL)
		read_group(reader, setting, rule->members, config);
	else if (strcmp(rule->name, "listeners") == 0)
		read_listeners(reader, setting, config);
	else
		setting_read(reader, setting, rule, config);
}

static void
read_text(struct setting_reader *reader, const char *text,
    struct config *config)
{
	config_t parsed;

	config_init(&parsed);
	if (config_read_string(&parsed, text) == CONFIG_FALSE) {
		fprintf(reader->errors, "%s:%d: %s\n", reader->path,
		    config_error_line(&parsed), config_error_text(&parsed));
		reader->error_count++;
	} else {
		config_setting_t *root = config_root_setting(&parsed);
		for (int i = 0; i < config_setting_length(root); i++)
			read_root(reader,
			    config_setting_get_elem(root, (unsigned)i), config);
	}
	config_destroy(&parsed);
}

static struct config *
config_default(void)
{
	struct config *config = calloc(1, sizeof(*config));

	if (config == NULL || replace_listeners(config, 2) == -1) {
		free(config);
		return NULL;
	}
	config->log_level = LOG_INFO;
	strcpy(config->control, CONFIG_CONTROL);
	config->max_connections = 10000;
	config->idle_timeout = 300;
	config->send_timeout = 30;
	config->drain_timeout = 5;
	stamp_format_compile(&config->stamp, "ctime", NULL, 0);
	strcpy(config->timezone, "local");
	config->rate_limit = 1000;
	config->rate_burst = 1000;
	config->built_in_listeners = true;
	listener_config_default(&config->listeners[0], PROTOCOL_TCP);
	listener_config_default(&config->listeners[1], PROTOCOL_UDP);
	for (size_t i = 0; i < config->listener_count; i++)
		strcpy(config->listeners[i].where, "built in");
	return config;
}

struct config *
config_load(const char *path, FILE *errors)
{
	struct config *config = config_default();

	if (config == NULL) {
		fprintf(errors, "out of memory\n");
		return NULL;
	}
	if (path == NULL)
		return config;
	struct setting_reader reader = { .path = path, .errors = errors };
	char *text = config_file_read(path, errors);
	if (text != NULL)
		read_text(&reader, text, config);
	if (text == NULL || reader.error_count > 0) {
		config_free(config);
		config = NULL;
	}
	free(text);
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

int
config_set_listeners(struct config *config, char *const *specs, size_t count,
    FILE *errors)
{
	int rc = 0;

	if (replace_listeners(config, count) == -1) {
		fprintf(errors, "out of memory\n");
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		rc |= listener_config_parse(config->listeners, i, specs[i],
		    errors);
	return rc;
}
