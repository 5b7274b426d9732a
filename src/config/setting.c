#include "config/setting.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "syntax/nearest.h"

#define ADVICE_MAX 512
#define PLACE_MAX 160
#define SHOWN 64 /* bytes of a value in a message */

#define OPTION_END "; timestampd -h lists the options"

struct setting
setting_member(const struct setting *parent, int i)
{
	return (struct setting){ parent->file,
		config_setting_get_elem(parent->node, (unsigned)i) };
}

/* The hook of a node is its place in the file, or the label of an option. */
static bool
is_label(const struct setting_file *file, const void *hook)
{
	const struct syntax_place *places = file->syntax->places;
	const struct syntax_place *place = hook;

	if (hook == NULL || file->syntax->count == 0)
		return hook != NULL;
	return place < places || place >= places + file->syntax->count;
}

const char *
setting_option(const struct setting *setting)
{
	const config_setting_t *node = setting->node;

	while (node != NULL && config_setting_get_hook(node) == NULL)
		node = config_setting_parent(node);
	const void *hook = node != NULL ? config_setting_get_hook(node) : NULL;
	return is_label(setting->file, hook) ? hook : NULL;
}

void
setting_refuse(struct setting_file *file, const char *option, const char *why)
{
	faults_add(file->faults, FAULTS_NOWHERE, FAULTS_NOWHERE,
	    "timestampd: %s: %s" OPTION_END, option, why);
	file->error_count++;
	file->option_errors++;
}

void
setting_attach(const struct setting *root)
{
	struct {
		config_setting_t *node;
		int next;
	} stack[SYNTAX_DEPTH_MAX] = { { (config_setting_t *)root->node, 0 } };
	struct syntax *syntax = root->file->syntax;
	size_t depth = 1, count = 0;

	while (depth > 0) {
		config_setting_t *node = stack[depth - 1].node;
		int i = stack[depth - 1].next++;
		if (i >= config_setting_length(node)) {
			depth--;
			continue;
		}
		node = config_setting_get_elem(node, (unsigned)i);
		if (count == syntax->count)
			return;
		config_setting_set_hook(node, &syntax->places[count++]);
		if (config_setting_is_aggregate(node) &&
		    depth < SYNTAX_DEPTH_MAX) {
			stack[depth].node = node;
			stack[depth++].next = 0;
		}
	}
}

/* Where setting stands; NULL: unknown. */
static struct syntax_place *
place_of(const struct setting *setting)
{
	void *hook = config_setting_get_hook(setting->node);

	return is_label(setting->file, hook) ? NULL : hook;
}

/* The text of a value as it stands in the file, at most SHOWN bytes of it. */
static const char *
raw_value(const struct setting *setting, char raw[SHOWN])
{
	const struct syntax_place *place = place_of(setting);

	raw[0] = '\0';
	if (place != NULL && !config_setting_is_aggregate(setting->node))
		snprintf(raw, SHOWN, "%.*s",
		    (int)(place->value_end - place->value_at) < SHOWN
			? (int)(place->value_end - place->value_at)
			: SHOWN,
		    setting->file->faults->text + place->value_at);
	return raw;
}

/*
 * "listeners[1].port", "limits.idle_timeout", "workers"; of an option what is
 * below the node that is its own.
 */
static void
print_name(char *out, size_t size, const struct setting *setting)
{
	const config_setting_t *node = setting->node;
	const config_setting_t *path[4];
	int depth = 0;
	size_t len = 0;

	for (; depth < 4 && !config_setting_is_root(node) &&
	       !is_label(setting->file, config_setting_get_hook(node));
	     node = config_setting_parent(node))
		path[depth++] = node;
	for (int i = depth - 1; i >= 0 && len < size; i--)
		if (config_setting_name(path[i]) == NULL)
			len += (size_t)snprintf(out + len, size - len, "[%d]",
			    config_setting_index(path[i]));
		else
			len += (size_t)snprintf(out + len, size - len,
			    "%s%.64s", i == depth - 1 ? "" : ".",
			    config_setting_name(path[i]));
}

/* Where a complaint about setting points. */
static void
find_range(const struct setting *setting, bool of_name, size_t *at, size_t *end)
{
	const struct syntax_place *place = place_of(setting);
	bool is_group = config_setting_is_aggregate(setting->node);

	if (place == NULL) {
		*at = *end = faults_line_start(setting->file->faults,
		    config_setting_source_line(setting->node));
	} else if (place->name_end > 0 && (of_name || is_group)) {
		*at = place->name_at;
		*end = place->name_end;
	} else {
		*at = place->value_at;
		*end = place->value_end;
	}
}

static void __attribute__((format(printf, 3, 0)))
complain(const struct setting *setting, bool of_name, const char *format,
    va_list args)
{
	struct syntax_place *place = place_of(setting);
	const char *option = setting_option(setting);
	char name[256] = "", *text = NULL;
	size_t at, end;

	setting->file->error_count++;
	setting->file->option_errors += option != NULL;
	if (place != NULL && place->is_refused && !of_name)
		return;
	/* Once is enough, and who knows what an unknown one needs. */
	if (place != NULL)
		place->is_refused = true;
	print_name(name, sizeof(name), setting);
	if (vasprintf(&text, format, args) == -1)
		text = NULL;
	const char *shown = text != NULL ? text : "out of memory";
	if (option != NULL) {
		faults_add(setting->file->faults, FAULTS_NOWHERE,
		    FAULTS_NOWHERE, "timestampd: %s: %s%s%s" OPTION_END, option,
		    name, name[0] != '\0' ? ": " : "", shown);
	} else if (place != NULL && place->more_at > 0 &&
		   place->name_end == 0) {
		faults_add(setting->file->faults, place->more_at,
		    place->value_end, "a comma is missing before this");
	} else {
		find_range(setting, of_name, &at, &end);
		faults_add(setting->file->faults, at, end, "%s: %s", name,
		    shown);
	}
	free(text);
}

void
setting_complain(const struct setting *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(setting, false, format, args);
	va_end(args);
}

/* The same where the name stands. */
static void __attribute__((format(printf, 2, 3)))
complain_name(const struct setting *setting, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(setting, true, format, args);
	va_end(args);
}

/* For the end of a complaint about a text. */
static const char *
advise_quotes(const struct setting *setting)
{
	const struct syntax_place *place = place_of(setting);

	return place != NULL && place->is_bare ? "; text needs quotes" : "";
}

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

void
setting_complain_choice(const struct setting *setting, const char *text,
    const char *choices)
{
	struct nearest nearest = nearest_begin(translate(text));
	char copy[256], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", choices);
	/* Every second part is between quotes. */
	for (int i = 0; rest != NULL; i++) {
		char *word = strsep(&rest, "\"");
		if (i % 2 == 1)
			nearest_try(&nearest, word);
	}
	setting_complain(setting, "\"%.*s\" is not one of %s%s%s%s", SHOWN,
	    text, choices, nearest.best != NULL ? "; did you mean \"" : "",
	    nearest.best != NULL ? nearest.best : "",
	    nearest.best != NULL ? "\"?" : advise_quotes(setting));
}

void
setting_check_quotes(struct setting_file *file)
{
	for (size_t i = 0; i < file->syntax->count; i++) {
		const struct syntax_place *place = &file->syntax->places[i];
		if (!place->is_bare || place->is_refused)
			continue;
		file->error_count++;
		faults_add(file->faults, place->value_at, place->value_end,
		    "text needs quotes: \"%.*s\"",
		    place->value_end - place->value_at < SHOWN
			? (int)(place->value_end - place->value_at)
			: SHOWN,
		    file->faults->text + place->value_at);
	}
}

static const struct setting_rule *
find_rule(const struct setting_rule *rules, const char *name)
{
	for (; rules->name != NULL; rules++)
		if (strcmp(rules->name, name) == 0)
			return rules;
	return NULL;
}

static void
try_rules(struct nearest *nearest, const struct setting_rule *rules)
{
	for (; rules->name != NULL; rules++)
		nearest_try(nearest, rules->name);
}

/* The table that has name; NULL: none has. */
static const struct setting_home *
find_home(const struct setting_home *homes, const char *name)
{
	for (; homes != NULL && homes->before != NULL; homes++)
		if (find_rule(homes->rules, name) != NULL)
			return homes;
	return NULL;
}

static void
list_names(const struct setting_rule *rules, char advice[ADVICE_MAX])
{
	size_t len = (size_t)snprintf(advice, ADVICE_MAX,
	    "no such setting; there are:");

	for (; rules->name != NULL && len < ADVICE_MAX; rules++)
		len += (size_t)snprintf(advice + len, ADVICE_MAX - len, " %s",
		    rules->name);
}

/* Where name belongs: "in limits: { idle_timeout = ...; };" */
static const char *
describe_home(const struct setting_home *home, const char *name,
    char text[PLACE_MAX])
{
	bool is_in_group = home->after[0] != '\0';

	snprintf(text, PLACE_MAX, "%s%s%s", home->before,
	    is_in_group ? name : "", home->after);
	return text;
}

/* What may have been meant by an unknown name: one elsewhere, or a near one. */
static void
advise_name(const char *name, const struct setting_rule *rules,
    const struct setting_home *homes, char advice[ADVICE_MAX])
{
	const struct setting_home *home = find_home(homes, name);
	const char *meant = translate(name), *ours;
	struct nearest nearest = nearest_begin(meant);
	char place[PLACE_MAX];

	if (home != NULL) {
		snprintf(advice, ADVICE_MAX, "belongs %s",
		    describe_home(home, name, place));
		return;
	}
	try_rules(&nearest, rules);
	ours = nearest.best;
	/* A synonym is nearest of all, here or elsewhere. */
	for (home = homes; home != NULL && home->before != NULL; home++)
		try_rules(&nearest, home->rules);
	if (nearest.best == NULL)
		list_names(rules, advice);
	else if (nearest.best == ours)
		snprintf(advice, ADVICE_MAX,
		    "no such setting; did you mean \"%s\"?", ours);
	else
		snprintf(advice, ADVICE_MAX,
		    "no such setting; did you mean \"%s\"? That belongs %s",
		    nearest.best,
		    describe_home(find_home(homes, nearest.best), nearest.best,
			place));
}

const struct setting_rule *
setting_find_rule(const struct setting *setting,
    const struct setting_rule *rules)
{
	const char *name = config_setting_name(setting->node);
	const struct setting_rule *rule = find_rule(rules, name);
	char advice[ADVICE_MAX];

	if (rule == NULL) {
		advise_name(name, rules, setting->file->homes, advice);
		complain_name(setting, "%s", advice);
	}
	return rule;
}

/* What a number with a unit, as in 5m, is in the unit of rule; -1: unknown. */
static long long
convert(const struct setting_rule *rule, const char *text)
{
	static const struct {
		const char *name, *unit;
		int factor;
	} units[] = {
		{ "s", "seconds", 1 },
		{ "m", "seconds", 60 },
		{ "h", "seconds", 3600 },
		{ "d", "seconds", 86400 },
		{ "k", "bytes", 1 << 10 },
		{ "m", "bytes", 1 << 20 },
		{ "b", "bytes", 1 },
		{ "m", "MiB", 1 },
		{ "g", "MiB", 1 << 10 },
	};
	char *end;
	long long number = strtoll(text, &end, 10);

	while (*end == ' ')
		end++;
	if (end == text || rule->unit == NULL || number > rule->max)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].unit, rule->unit) == 0 &&
		    tolower((unsigned char)*end) == units[i].name[0])
			return number * units[i].factor;
	return -1;
}

static bool
is_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* It has the wrong type: says how to write what was meant. */
static void
complain_number(const struct setting *setting, const struct setting_rule *rule)
{
	char raw[SHOWN], advice[3 * SHOWN] = "", *end;
	const char *text = raw_value(setting, raw);
	size_t quote = text[0] == '"';
	long long number = strtoll(text + quote, &end, 10);
	long long converted = convert(rule, text + quote);

	if (quote && end > text + quote && strcmp(end, "\"") == 0 &&
	    number >= rule->min && number <= rule->max)
		snprintf(advice, sizeof(advice), ", without quotes: %lld",
		    number);
	else if (converted >= rule->min && converted <= rule->max)
		snprintf(advice, sizeof(advice), "; %s is %lld", text,
		    converted);
	setting_complain(setting, "needs a whole number%s%s from %d to %d%s",
	    rule->unit != NULL ? " of " : "",
	    rule->unit != NULL ? rule->unit : "", rule->min, rule->max, advice);
}

static void
read_number(const struct setting *setting, const struct setting_rule *rule,
    int *value)
{
	int type = config_setting_type(setting->node);
	long long number = config_setting_get_int64(setting->node);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		complain_number(setting, rule);
	else if (number < rule->min || number > rule->max)
		setting_complain(setting,
		    "%lld is out of range: %d to %d are allowed", number,
		    rule->min, rule->max);
	else
		*value = (int)number;
}

static void
read_flag(const struct setting *setting, bool *value)
{
	static const char *const words[] = { "no", "yes", "off", "on", "0", "1",
		"false", "true", "disabled", "enabled" };
	const char *advice = NULL;
	char raw[SHOWN];

	if (config_setting_type(setting->node) == CONFIG_TYPE_BOOL) {
		*value = config_setting_get_bool(setting->node);
		return;
	}
	const char *text = raw_value(setting, raw);
	size_t quote = text[0] == '"', len = strcspn(text + quote, "\"");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == len &&
		    strncasecmp(text + quote, words[i], len) == 0)
			advice = i % 2 == 0 ? "false" : "true";
	if (advice == NULL)
		setting_complain(setting, "needs true or false");
	else if (quote)
		setting_complain(setting,
		    "needs true or false, without quotes: %s", advice);
	else
		setting_complain(setting, "needs true or false; %s is %s", text,
		    advice);
}

static void
read_text(const struct setting *setting, const struct setting_rule *rule,
    const char *text, char *value)
{
	int choice = rule->parse != NULL ? rule->parse(text) : -1;

	if (choice != -1)
		*(int *)(void *)value = choice;
	else if (rule->is_valid != NULL && strlen(text) < rule->size &&
		 rule->is_valid(text))
		strcpy(value, text);
	else if (rule->choices != NULL)
		setting_complain_choice(setting, text, rule->choices);
	else
		setting_complain(setting, "needs %s%s", rule->needs,
		    advise_quotes(setting));
}

/* A value that is not text where text is needed. */
static void
complain_text(const struct setting *setting)
{
	char raw[SHOWN];
	const char *text = raw_value(setting, raw);

	if (text[0] != '\0')
		setting_complain(setting, "needs text in \"quotes\": \"%s\"",
		    text);
	else
		setting_complain(setting, "needs text in \"quotes\"");
}

void
setting_read(const struct setting *setting, const struct setting_rule *rule,
    void *base)
{
	const struct syntax_place *place = place_of(setting);
	const char *text = config_setting_get_string(setting->node);
	char *value = (char *)base + rule->offset;

	/* Nor is it a name that a number may have: none has a unit. */
	if (rule->max > 0 && text != NULL && isdigit((unsigned char)*text) &&
	    ((place != NULL && place->is_bare) || is_digits(text) ||
		rule->unit != NULL))
		complain_number(setting, rule);
	else if (rule->read_list != NULL)
		rule->read_list(setting, base);
	else if (text != NULL && rule->read_text != NULL)
		rule->read_text(setting, text, base);
	else if (rule->is_flag)
		read_flag(setting, (bool *)(void *)value);
	else if (rule->max > 0)
		read_number(setting, rule, (int *)(void *)value);
	else if (text != NULL)
		read_text(setting, rule, text, value);
	else
		complain_text(setting);
}

void
setting_read_group(const struct setting *group,
    const struct setting_rule *rules, enum protocol protocol, void *base)
{
	if (!config_setting_is_group(group->node)) {
		setting_complain(group, "needs a group: { ... }");
		return;
	}
	for (int i = 0; i < config_setting_length(group->node); i++) {
		struct setting setting = setting_member(group, i);
		const struct setting_rule *rule = setting_find_rule(&setting,
		    rules);

		if (rule == NULL)
			continue;
		if (rule->protocols != 0 &&
		    (rule->protocols & 1U << protocol) == 0)
			complain_name(&setting,
			    "does not apply to a %s listener",
			    protocol_name(protocol));
		else
			setting_read(&setting, rule, base);
	}
}
