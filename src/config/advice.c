#include "config/advice.h"

#include <ctype.h>
#include <string.h>

#include "config/listener_config.h"
#include "syntax/nearest.h"

#define SHOWN 64 /* bytes of a value that are repeated */
#define TEXT_MAX 160

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define PLAIN DIGITS LETTERS "._:/+%@-" /* means itself to a shell */

/* What other programs call it, a setting or its value. */
static const struct {
	const char *other, *ours;
} synonyms[] = {
	{ "bind", "address" },
	{ "bind_address", "address" },
	{ "bindaddress", "address" },
	{ "dgram", "unix-dgram" },
	{ "host", "address" },
	{ "ip", "address" },
	{ "iso8601", "rfc3339" },
	{ "keepalive_timeout", "idle_timeout" },
	{ "listen", "listeners" },
	{ "listen_address", "address" },
	{ "listenaddress", "address" },
	{ "loglevel", "log_level" },
	{ "max_clients", "max_connections" },
	{ "notice", "info" },
	{ "permissions", "mode" },
	{ "seqpacket", "unix-seqpacket" },
	{ "server", "listeners" },
	{ "socket", "path" },
	{ "tcp", "listeners" },
	{ "threads", "workers" },
	{ "timeout", "idle_timeout" },
	{ "type", "protocol" },
	{ "tz", "timezone" },
	{ "verbose", "debug" },
	{ "worker_processes", "workers" },
};

static const char *
translate(const char *name)
{
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		if (strcasecmp(name, synonyms[i].other) == 0)
			return synonyms[i].ours;
	return name;
}

/* The table that has name; NULL: none has. */
static const struct setting_home *
find_home(const struct setting_home *homes, const char *name)
{
	for (; homes->rules != NULL; homes++)
		if (setting_rule_named(homes->rules, name) != NULL)
			return homes;
	return NULL;
}

static void
try_homes(struct nearest *nearest, const struct setting_home *homes)
{
	const struct setting_rule *rule;

	for (; homes->rules != NULL; homes++)
		for (rule = homes->rules; rule->name != NULL; rule++)
			nearest_try(nearest, rule->name);
}

/* A setting that may have been meant. */
struct meant {
	const struct setting_home *home; /* NULL: nothing is near */
	const char *name;
	bool is_exact; /* it is only in the wrong place */
	bool is_own;   /* of the homes where it was looked for first */
};

static struct meant
find_meant(const char *name, const struct setting_home *own,
    const struct setting_home *others)
{
	bool is_known = find_home(own, name) || find_home(others, name);
	/* A synonym is nearest of all. */
	struct nearest nearest = nearest_begin(
	    is_known ? name : translate(name));

	try_homes(&nearest, own);
	try_homes(&nearest, others);
	if (nearest.best == NULL)
		return (struct meant){ 0 };
	const struct setting_home *home = find_home(own, nearest.best);
	return (struct meant){ home ? home : find_home(others, nearest.best),
		nearest.best, is_known, home != NULL };
}

void
advice_names(const struct setting_rule *rules, const char *why,
    char advice[ADVICE_MAX])
{
	size_t len = (size_t)snprintf(advice, ADVICE_MAX,
	    "%s; there are:", why);

	for (; rules->name != NULL && len < ADVICE_MAX; rules++)
		len += (size_t)snprintf(advice + len, ADVICE_MAX - len, " %s",
		    rules->name);
}

/* Where it belongs in a file: "in limits: { idle_timeout = ...; };" */
static void
describe_place(const struct meant *meant, char text[TEXT_MAX])
{
	const char *group = meant->home->group;

	if (group[0] == '\0')
		snprintf(text, TEXT_MAX,
		    "at the top level of the file, outside of groups");
	else if (meant->home->rules == listener_config_rules())
		snprintf(text, TEXT_MAX,
		    "in a listener: listeners = ( { protocol = ...; "
		    "%s = ...; } );",
		    meant->name);
	else
		snprintf(text, TEXT_MAX, "in %s: { %s = ...; };", group,
		    meant->name);
}

/* The option that sets it for a listener. */
static void
describe_spec(const char *name, const char *value, char text[TEXT_MAX])
{
	const struct setting_rule *rule =
	    setting_rule_named(listener_config_rules(), name);
	enum protocol protocol = PROTOCOL_TCP;

	while (rule != NULL && rule->protocols != 0 &&
	       (rule->protocols & 1U << protocol) == 0)
		protocol++;
	const char *first = protocol_name(protocol);
	if (rule == NULL || strcmp(name, "port") == 0 ||
	    strcmp(name, "path") == 0)
		snprintf(text, TEXT_MAX, "-l %s:%s", first, value);
	else if (strcmp(name, "protocol") == 0)
		snprintf(text, TEXT_MAX, "-l %s:PORT", value);
	else
		snprintf(text, TEXT_MAX, "-l %s:%s,%s=%s", first,
		    protocol_is_unix(protocol) ? "/path" : "PORT", name, value);
}

static void
describe_option(const struct meant *meant, const char *value,
    char text[TEXT_MAX])
{
	const char *group = meant->home->group;
	bool is_shown = value != NULL && value[0] != '\0' &&
	                strlen(value) <= SHOWN &&
	                value[strspn(value, PLAIN)] == '\0';

	value = is_shown ? value : "...";
	if (strcmp(group, "listeners") == 0 ||
	    strcmp(meant->name, "listeners") == 0)
		describe_spec(meant->name, value, text);
	else
		snprintf(text, TEXT_MAX, "-o %s%s%s=%s", group,
		    group[0] != '\0' ? "." : "", meant->name, value);
}

/* The table in which an option looks for a setting first. */
static struct setting_home
find_group(const struct setting *setting, const struct setting_rule *rules)
{
	const struct setting_home *homes = setting->file->homes, *home;
	struct nearest nearest = nearest_begin(
	    translate(config_setting_name(setting->node)));

	if (config_setting_is_group(setting->node))
		for (home = homes; home->rules != NULL; home++)
			nearest_try(&nearest, home->group);
	for (home = homes; home->rules != NULL && home->rules != rules; home++)
		if (home->group == nearest.best)
			break;
	return *home;
}

/* The tables of a listener, that with rules first. */
static void
list_own(struct setting_home own[2], const struct setting_rule *rules)
{
	const struct setting_rule *all = listener_config_rules(), *group = all;
	bool is_nested = rules != all;

	while (group->members == NULL)
		group++;
	own[is_nested] = (struct setting_home){ "", all };
	own[!is_nested] = (struct setting_home){ group->name, group->members };
}

void
advice_name(const struct setting *setting, const struct setting_rule *rules,
    char advice[ADVICE_MAX])
{
	const char *option = setting_option(setting);
	const config_setting_t *leaf = setting->node;
	struct setting_home own[3] = { { "", rules } };
	bool is_global = option != NULL && option[1] == 'o';
	char text[TEXT_MAX];

	if (is_global)
		own[0] = find_group(setting, rules);
	else if (option != NULL)
		list_own(own, rules);
	if (option != NULL && config_setting_is_group(leaf) &&
	    config_setting_length(leaf) > 0)
		leaf = config_setting_get_elem(leaf, 0);
	struct meant meant = find_meant(config_setting_name(leaf), own,
	    setting->file->homes);
	if (meant.home == NULL) {
		advice_names(own[0].rules, "no such setting", advice);
	} else if (meant.is_own && !is_global) {
		snprintf(advice, ADVICE_MAX,
		    "no such setting; did you mean \"%s%s%s\"?",
		    meant.home->group, meant.home->group[0] ? "." : "",
		    meant.name);
	} else if (option != NULL) {
		describe_option(&meant, config_setting_get_string(leaf), text);
		snprintf(advice, ADVICE_MAX,
		    "no such setting; did you mean %s?", text);
	} else {
		describe_place(&meant, text);
		snprintf(advice, ADVICE_MAX, "%s%s%s %s",
		    meant.is_exact ? "" : "no such setting; did you mean \"",
		    meant.is_exact ? "belongs" : meant.name,
		    meant.is_exact ? "" : "\"? That belongs", text);
	}
}

const char *
advice_choice(const char *text, const char *choices, char copy[ADVICE_MAX])
{
	struct nearest nearest = nearest_begin(translate(text));
	char *rest = copy;

	snprintf(copy, ADVICE_MAX, "%s", choices);
	/* Every second part is between quotes. */
	for (int i = 0; rest != NULL; i++) {
		char *word = strsep(&rest, "\"");
		if (i % 2 == 1)
			nearest_try(&nearest, word);
	}
	return nearest.best;
}

/* The text without what a file may have around a value, and its length. */
static const char *
strip(const char *text, size_t *len)
{
	static const char around[] = " \t\"';[]{}";

	text += strspn(text, around);
	*len = strlen(text);
	while (*len > 0 && strchr(around, text[*len - 1]) != NULL)
		--*len;
	return text;
}

bool
advice_value(const struct setting *setting, const char *name,
    char advice[ADVICE_MAX])
{
	const char *text = config_setting_get_string(setting->node);
	size_t len;

	/* Braces are of a group, and its names tell more. */
	if (text == NULL || strlen(text) > ADVICE_MAX / 2 ||
	    strchr(text, '{') != NULL)
		return false;
	bool is_listed = config_setting_is_array(
	    config_setting_parent(setting->node));
	const char *bare = strip(text, &len);
	const char *more = bare + strcspn(bare, ",; ");
	if (is_listed && more < bare + len)
		snprintf(advice, ADVICE_MAX,
		    "takes one at a time; repeat %.*s=",
		    (int)strcspn(name, "["), name);
	else if (strchr(more, '=') != NULL)
		snprintf(advice, ADVICE_MAX, "each setting needs %s",
		    name[0] == '-' ? "an -o of its own"
				   : "a comma in front of it");
	else if (len == 0 || (bare == text && text[len] == '\0'))
		return false;
	else
		snprintf(advice, ADVICE_MAX,
		    "needs the value alone, as in %.*s=%.*s",
		    (int)strcspn(name, "["), name, (int)len, bare);
	return true;
}

bool
advice_pair(const char *text, char pair[ADVICE_MAX])
{
	const char *equals = strrchr(text, '=');
	const char *end = equals != NULL ? equals : strrchr(text, ':');
	size_t at = 0, len;

	if (end == NULL || strlen(text) > SHOWN)
		return false;
	const char *value = strip(end + 1, &len);
	for (text += strspn(text, " -"); text < end; text++)
		if (strchr(LETTERS DIGITS "_-", *text) != NULL)
			pair[at++] = *text;
		else if (at > 0 && pair[at - 1] != '.')
			pair[at++] = '.';
	while (at > 0 && pair[at - 1] == '.')
		at--;
	snprintf(pair + at, ADVICE_MAX - at, "=%.*s", (int)len, value);
	const char *dot = memchr(pair, '.', at);
	bool has_more = dot != NULL &&
	                memchr(dot + 1, '.', at - (size_t)(dot + 1 - pair));
	return at > 0 && !has_more && len > 0 && strspn(value, PLAIN) >= len;
}

/* The protocol that text begins with; NULL: none. */
static const char *
find_protocol(const char *text, size_t len)
{
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	struct nearest nearest = nearest_begin(word);
	for (int p = 0; p < PROTOCOL_COUNT; p++)
		nearest_try(&nearest, protocol_name((enum protocol)p));
	return nearest.best;
}

static bool
is_port(const char *text)
{
	return text[0] != '\0' && text[strspn(text, DIGITS)] == '\0';
}

bool
advice_spec(const char *text, char spec[ADVICE_MAX])
{
	size_t len = strcspn(text, ":/");
	const char *protocol = find_protocol(text, len), *rest = text;
	/* Else it may be a service or anything. */
	bool is_host = protocol != NULL || strpbrk(text, ".*[") != NULL ||
	               strncmp(text, "localhost:", 10) == 0;

	if (protocol != NULL)
		rest += len + (text[len] == ':');
	else
		protocol = text[0] == '/' ? "unix" : "tcp";
	bool is_unix = strncmp(protocol, "unix", 4) == 0;
	if (!is_unix) {
		rest += strspn(rest, "/");
		rest += rest[0] == ':' && rest[1] != ':';
	}
	snprintf(spec, ADVICE_MAX, "%s:%s", protocol, rest);
	const char *colon = strrchr(rest, ':');
	const char *port = colon != NULL ? colon + 1 : rest;
	if (is_unix || colon == NULL)
		return is_unix ? rest[0] == '/' : is_port(port);
	return is_host && is_port(port) &&
	       (colon[-1] == ']' ||
		   memchr(rest, ':', (size_t)(colon - rest)) == NULL);
}
