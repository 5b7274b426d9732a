#include "config/config.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config/access_reader.h"
#include "config/config_file.h"
#include "config/overlay.h"
#include "config/printer.h"
#include "config/setting.h"

#define DAY (24 * 60 * 60)
#define HOMES_MAX 8
#define LISTENERS_MAX 1024

/* idle_timeout where none is configured, in seconds. */
#define IDLE_OTHERS 300
#define IDLE_LINES (7 * DAY)

static void
read_format(const struct setting *setting, const char *text, void *base)
{
	listener_config_read_format(setting, text,
	    &((struct config *)base)->stamp);
}

static int
parse_source(const char *text)
{
	if (strcmp(text, "clock") == 0)
		return false;
	return strcmp(text, "arrival") == 0 ? true : -1;
}

/* "" switches the control socket off. */
static bool
is_path_or_empty(const char *text)
{
	return text[0] == '/' || text[0] == '\0';
}

static bool
is_path(const char *text)
{
	return text[0] == '/';
}

/* A name would have to be looked up. */
static void
read_ip(const struct setting *setting, const char *text, void *base)
{
	struct listener_config *http = &((struct config *)base)->http;
	struct in6_addr address;
	char why[ADDRESS_WHY_MAX];

	if (address_parse(text, http->address, why) == -1)
		setting_complain(setting, "%s", why);
	else if (strcmp(http->address, "*") != 0 &&
		 inet_pton(AF_INET, http->address, &address) != 1 &&
		 inet_pton(AF_INET6, http->address, &address) != 1)
		setting_complain(setting, "needs \"*\" or an IP address");
}

static void
read_auto(const struct setting *setting, const char *text, int *value)
{
	if (strcmp(text, "auto") == 0)
		*value = CONFIG_AUTO;
	else
		setting_complain(setting, "\"%s\" is not a number or \"auto\"",
		    text);
}

static void
read_auto_connections(const struct setting *setting, const char *text,
    void *base)
{
	read_auto(setting, text, &((struct config *)base)->max_per_address);
}

static void
read_auto_idle(const struct setting *setting, const char *text, void *base)
{
	read_auto(setting, text, &((struct config *)base)->idle_timeout);
}

/* "" leaves the server the user that started it; a running one is known. */
static void
read_user(const struct setting *setting, const char *text, void *base)
{
	struct config *config = base;
	bool is_name = text[0] != '\0' && strlen(text) < sizeof(config->user);

	if (is_name && strcmp(text, config->user) == 0)
		return;
	const struct passwd *entry = is_name ? getpwnam(text) : NULL;
	if (text[0] != '\0' && entry == NULL) {
		setting_complain(setting, "this system has no user \"%s\"",
		    text);
		return;
	}
	strcpy(config->user, text);
	config->uid = entry != NULL ? entry->pw_uid : 0;
	config->gid = entry != NULL ? entry->pw_gid : 0;
}

#define IN(field)                                                              \
	.offset = offsetof(struct config, field),                              \
	.size = sizeof(((struct config *)0)->field)

static const struct setting_rule limits_rules[] = {
	{ "max_connections", IN(max_connections), .min = 1, .max = 1000000 },
	{ "max_connections_per_address", IN(max_per_address), .max = 1000000,
	    .read_text = read_auto_connections },
	{ "idle_timeout", IN(idle_timeout), .max = 365 * DAY,
	    .read_text = read_auto_idle, .unit = "seconds" },
	{ "send_timeout", IN(send_timeout), .max = 365 * DAY,
	    .unit = "seconds" },
	{ "drain_timeout", IN(drain_timeout), .max = DAY, .unit = "seconds" },
	{ "lame_duck", IN(lame_duck), .max = DAY, .unit = "seconds" },
	{ "kept_memory", IN(kept_memory), .max = 1 << 20, .unit = "MiB" },
	{ .name = NULL },
};

static const struct setting_rule stamp_rules[] = {
	{ "format", IN(stamp.text), .read_text = read_format },
	{ "timezone", IN(timezone), .is_valid = stamp_zone_exists,
	    .needs = "\"local\", \"UTC\" or a time zone of this system, "
		     "such as \"Europe/Berlin\"" },
	{ "source", IN(arrival), .parse = parse_source,
	    .choices = "\"clock\" and \"arrival\"" },
	{ .name = NULL },
};

static const struct setting_rule udp_rules[] = {
	{ "rate_limit", IN(rate_limit), .max = 1000000 },
	{ "rate_burst", IN(rate_burst), .min = 1, .max = 1000000 },
	{ .name = NULL },
};

static const struct setting_rule http_rules[] = {
	{ "address", IN(http.address), .read_text = read_ip },
	{ "port", IN(http.port), .max = 65535 },
	{ "path", IN(http.path), .is_valid = is_path,
	    .needs = "an absolute path of at most 107 bytes" },
	{ .name = NULL },
};

/* Not a group: see read_listeners. */
static const struct setting_rule listeners_rules[] = { { .name = NULL } };

static const struct setting_rule root_rules[] = {
	{ "log_level", IN(log_level), .parse = log_level_parse,
	    .choices = "\"error\", \"warning\", \"info\" and \"debug\"" },
	{ "log_connections", IN(log_connections), .is_flag = true },
	{ "workers", IN(workers), .max = 1024 },
	{ "user", IN(user), .read_text = read_user },
	{ "control", IN(control), .is_valid = is_path_or_empty,
	    .needs = "an absolute path of at most 107 bytes, or \"\"" },
	{ "limits", .members = limits_rules },
	{ "stamp", .members = stamp_rules },
	{ "udp", .members = udp_rules },
	{ "http", .members = http_rules },
	{ "allow", .read_list = access_leave },
	{ "deny", .read_list = access_leave },
	{ "allow_file", .read_list = access_leave, .needs = "a path" },
	{ "deny_file", .read_list = access_leave, .needs = "a path" },
	{ .name = "listeners", .members = listeners_rules },
	{ .name = NULL },
};

static void
free_listeners(struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++)
		access_release(config->listeners[i].access);
	free(config->listeners);
}

/* Room for count listeners in place of those before.  -1: out of memory. */
static int
replace_listeners(struct config *config, size_t count)
{
	struct listener_config *listeners = calloc(count, sizeof(*listeners));

	if (listeners == NULL)
		return -1;
	free_listeners(config);
	config->listeners = listeners;
	config->listener_count = count;
	config->built_in_listeners = false;
	return 0;
}

static void
read_listeners(const struct setting *list, struct config *config)
{
	int count = config_setting_length(list->node);

	if (!config_setting_is_list(list->node) || count == 0) {
		setting_complain(list,
		    "needs a list of listeners: ( { protocol = \"tcp\"; "
		    "port = 7000; }, { ... } )");
		return;
	}
	if (count > LISTENERS_MAX) {
		setting_complain(list,
		    "has %d listeners, and at most %d are "
		    "allowed",
		    count, LISTENERS_MAX);
		return;
	}
	if (replace_listeners(config, (size_t)count) == -1) {
		setting_complain(list, "out of memory");
		return;
	}
	for (int i = 0; i < count; i++) {
		struct setting group = setting_member(list, i);
		listener_config_read(&group, config->listeners, (size_t)i);
	}
}

static void
read_http(const struct setting *group, struct config *config)
{
	struct listener_config *http = &config->http;
	int errors_before = group->file->error_count;

	setting_read_group(group, http_rules, PROTOCOL_TCP, config);
	if (group->file->error_count > errors_before)
		return;
	bool has_path = http->path[0] != '\0';
	if (has_path ? http->port != -1 || http->address[0] != '\0'
		     : http->port == -1) {
		setting_complain(group,
		    "needs a port, and may have an address; or a path alone");
		return;
	}
	http->protocol = has_path ? PROTOCOL_UNIX : PROTOCOL_TCP;
	if (!has_path && http->address[0] == '\0')
		strcpy(http->address, "127.0.0.1");
	if (config_setting_source_line(group->node) == 0)
		snprintf(http->where, sizeof(http->where), "-o http");
	else
		snprintf(http->where, sizeof(http->where), "%s:%d: http",
		    group->file->path,
		    (int)config_setting_source_line(group->node));
}

static void
read_root(const struct setting *setting, struct config *config)
{
	const struct setting_rule *rule = setting_find_rule(setting,
	    root_rules);

	if (rule == NULL)
		return;
	if (rule->members == http_rules)
		read_http(setting, config);
	else if (rule->members == listeners_rules)
		read_listeners(setting, config);
	else if (rule->members != NULL)
		setting_read_group(setting, rule->members, PROTOCOL_TCP,
		    config);
	else
		setting_read(setting, rule, config);
}

/* Whether sockets at both addresses could not have the same port. */
static bool
do_overlap(const char *one, const char *other)
{
	const int families[] = { AF_INET, AF_INET6 };
	struct in6_addr any = { 0 }, a = any, b = any;

	if (strcmp(one, "*") == 0 || strcmp(other, "*") == 0 ||
	    strcmp(one, other) == 0)
		return true;
	for (int i = 0; i < 2; i++)
		if (inet_pton(families[i], one, &a) == 1 &&
		    inet_pton(families[i], other, &b) == 1)
			return memcmp(&a, &b, sizeof(a)) == 0 ||
			       memcmp(&a, &any, sizeof(a)) == 0 ||
			       memcmp(&b, &any, sizeof(a)) == 0;
	return false;
}

/* True: one of them would be in the other's way. */
static bool
is_same_place(const struct listener_config *a, const struct listener_config *b)
{
	if (protocol_is_unix(a->protocol))
		return protocol_is_unix(b->protocol) && a->path[0] != '\0' &&
		       strcmp(a->path, b->path) == 0;
	return a->protocol == b->protocol && a->port > 0 &&
	       a->port == b->port && do_overlap(a->address, b->address);
}

/* Whether it complains that own, of group, can't be opened beside other. */
static bool
check_place(const struct setting *group, const struct listener_config *own,
    const struct listener_config *other, const char *whose)
{
	bool is_unix = protocol_is_unix(own->protocol);
	char port[16];

	if (!is_same_place(own, other))
		return false;
	snprintf(port, sizeof(port), "%d", own->port);
	setting_complain(group, "needs another %s: %s is used by %s%s",
	    is_unix ? "path" : "port", is_unix ? own->path : port, whose,
	    other->where);
	return true;
}

static void
check_listeners(const struct setting *root, const struct config *config,
    const struct listener_config *control)
{
	struct setting list = { root->file,
		config_setting_get_member(root->node, "listeners") };

	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *all = config->listeners;
		struct setting group = setting_member(&list, (int)i);
		bool is_found = check_place(&group, &all[i], control, "");
		for (size_t j = 0; j < i && !is_found; j++)
			is_found = check_place(&group, &all[i], &all[j],
			    "the listener at ");
	}
}

/* After all were read, in whatever order. */
static void
check_places(const struct setting *root, const struct config *config)
{
	struct listener_config control = { .protocol = PROTOCOL_UNIX,
		.where = "the control socket" };
	struct setting http = { root->file,
		config_setting_get_member(root->node, "http") };

	strcpy(control.path, config->control);
	/* A setting that was refused has its default, which may collide. */
	if (root->file->error_count == 0 && !config->built_in_listeners)
		check_listeners(root, config, &control);
	bool is_found = http.node == NULL ||
	                check_place(&http, &config->http, &control, "");
	for (size_t i = 0; i < config->listener_count && !is_found; i++)
		is_found = check_place(&http, &config->http,
		    &config->listeners[i],
		    config->built_in_listeners ? "a listener that is "
					       : "the listener at ");
}

/* After the listeners, because theirs need those for all. */
static void
read_access(const struct setting *root, struct config *config)
{
	struct setting list = { root->file,
		config_setting_get_member(root->node, "listeners") };

	config->access = access_read(root, NULL);
	for (size_t i = 0;
	     !config->built_in_listeners && i < config->listener_count; i++) {
		struct setting group = setting_member(&list, (int)i);
		config->listeners[i].access = access_read(&group,
		    config->access);
	}
}

/* The file, if there is one.  False after a fault. */
static bool
parse(struct setting_file *file, config_t *tree)
{
	struct faults *faults = file->faults;

	if (file->path == NULL)
		return true;
	if (!config_file_read(faults))
		return false;
	if (syntax_read(file->syntax, faults) == -1) {
		if (faults->count == 0)
			faults_add(faults, FAULTS_NOWHERE, FAULTS_NOWHERE,
			    "out of memory");
		return false;
	}
	if (config_read_string(tree, file->syntax->mended) == CONFIG_TRUE) {
		struct setting root = { file, config_root_setting(tree) };
		setting_attach(&root);
		return true;
	}
	size_t at = faults_line_start(faults, (size_t)config_error_line(tree));
	faults_add(faults, at, at, "%s", config_error_text(tree));
	return false;
}

/* What the file says, and the command line above it. */
static void
read_tree(const struct setting *root, struct config *config)
{
	if (config_setting_get_member(root->node, "user") == NULL)
		config->user[0] = '\0';
	for (int i = 0; i < config_setting_length(root->node); i++) {
		struct setting setting = setting_member(root, i);
		read_root(&setting, config);
	}
	check_places(root, config);
	read_access(root, config);
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
	config->max_per_address = CONFIG_AUTO;
	config->idle_timeout = CONFIG_AUTO;
	config->send_timeout = 30;
	config->drain_timeout = 5;
	config->kept_memory = 256;
	stamp_format_compile(&config->stamp, "ctime", NULL, 0);
	strcpy(config->timezone, "local");
	config->rate_limit = 1000;
	config->rate_burst = 1000;
	config->built_in_listeners = true;
	listener_config_default(&config->http, PROTOCOL_TCP);
	config->http.address[0] = '\0';
	config->http.port = -1;
	listener_config_default(&config->listeners[0], PROTOCOL_TCP);
	listener_config_default(&config->listeners[1], PROTOCOL_UDP);
	for (size_t i = 0; i < config->listener_count; i++)
		strcpy(config->listeners[i].where, "built in");
	return config;
}

/* All tables, and their groups. */
static void
list_homes(struct setting_home homes[HOMES_MAX])
{
	const struct setting_home all[] = {
		{ "limits", limits_rules },
		{ "stamp", stamp_rules },
		{ "udp", udp_rules },
		{ "listeners", listener_config_rules() },
		{ "http", http_rules },
		{ "", root_rules },
		{ NULL, NULL },
	};

	memcpy(homes, all, sizeof(all));
}

/* Reads source into config.  Returns 0, or an exit status; adds faults. */
static int
read_source(struct config *config, const struct config_source *source,
    struct setting_file *file, FILE *out)
{
	struct overlay overlay = { 0 };
	config_t tree;

	config_init(&tree);
	bool is_read = parse(file, &tree);
	if (is_read) {
		struct setting root = { file, config_root_setting(&tree) };
		is_read = overlay_apply(&overlay, &root, source, root_rules);
		if (is_read)
			read_tree(&root, config);
		else
			faults_add(file->faults, FAULTS_NOWHERE, FAULTS_NOWHERE,
			    "out of memory");
		setting_check_quotes(file);
	}
	if (source->debug)
		config->log_level = LOG_DEBUG;
	bool is_right = is_read && file->error_count == 0 &&
	                file->faults->count == 0;
	if (is_right && out != NULL)
		printer_write(out, config, root_rules,
		    config_root_setting(&tree));
	config_destroy(&tree);
	overlay_free(&overlay);
	if (is_right)
		return 0;
	return file->option_errors > 0 ? EX_USAGE : EX_CONFIG;
}

static int
load(struct config *config, const struct config_source *source, FILE *errors,
    FILE *out)
{
	struct setting_home homes[HOMES_MAX];
	struct faults faults = { .path = source->path };
	struct syntax syntax = { 0 };
	struct setting_file file = { source->path, &faults, &syntax, homes, 0,
		0 };

	list_homes(homes);
	if (source->running != NULL) {
		strcpy(config->user, source->running->user);
		config->uid = source->running->uid;
		config->gid = source->running->gid;
	}
	int status = read_source(config, source, &file, out);
	faults_print(&faults, errors, source->with_pictures);
	syntax_free(&syntax);
	faults_free(&faults);
	return status;
}

/* *config is NULL after an error. */
static int
load_or_free(struct config **config, const struct config_source *source,
    FILE *errors, FILE *out)
{
	int status = EX_CONFIG;

	*config = config_default();
	if (*config == NULL)
		fprintf(errors, "out of memory\n");
	else
		status = load(*config, source, errors, out);
	if (status == 0)
		return 0;
	config_free(*config);
	*config = NULL;
	return status;
}

int
config_load(struct config **config, const struct config_source *source,
    FILE *errors)
{
	return load_or_free(config, source, errors, NULL);
}

int
config_show(const struct config_source *source, FILE *out, FILE *errors)
{
	struct config *config;
	int status = load_or_free(&config, source, errors, out);

	config_free(config);
	return status;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	free_listeners(config);
	access_release(config->access);
	free(config);
}

int
config_idle_timeout(const struct config *config,
    const struct listener_config *listener, enum framing framing)
{
	if (listener != NULL && listener->idle_timeout != CONFIG_AUTO)
		return listener->idle_timeout;
	if (config->idle_timeout != CONFIG_AUTO)
		return config->idle_timeout;
	return framing == FRAMING_LINE ? IDLE_LINES : IDLE_OTHERS;
}

void
config_make_stamp(const struct config *config,
    const struct listener_config *listener, struct stamp *stamp)
{
	bool has_format = listener != NULL && listener->stamp.text[0] != '\0';
	bool has_zone = listener != NULL && listener->timezone[0] != '\0' &&
	                strcmp(listener->timezone, config->timezone) != 0;

	stamp_init(stamp, has_format ? &listener->stamp : &config->stamp);
	if (has_zone)
		stamp_use_zone(stamp, listener->timezone);
}
