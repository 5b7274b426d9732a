#include "config/setting.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/advice.h"

#define NAME_MAX 256
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
setting_refuse(struct setting_file *file, const char *option,
    const char *format, ...)
{
	char *why = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&why, format, args) == -1)
		why = NULL;
	va_end(args);
	const char *shown = why != NULL ? why : "out of memory";
	/* One semicolon is enough. */
	int len = (int)strlen(shown);
	len -= len > 0 && shown[len - 1] == ';';
	faults_add(file->faults, FAULTS_NOWHERE, FAULTS_NOWHERE,
	    "timestampd: %s: %.*s" OPTION_END, option, len, shown);
	free(why);
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

/* The text of a value as it was written, at most SHOWN bytes of it. */
static const char *
raw_value(const struct setting *setting, char raw[SHOWN])
{
	const struct syntax_place *place = place_of(setting);
	const char *text = config_setting_get_string(setting->node);

	/* An option has its text as it is, a file in quotes. */
	snprintf(raw, SHOWN, "%s",
	    text != NULL && setting_option(setting) != NULL ? text : "");
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

	out[0] = '\0';
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

/* The same of an option. */
static void
complain_option(const struct setting *setting, const char *option,
    const char *text)
{
	char name[NAME_MAX], advice[ADVICE_MAX];

	print_name(name, sizeof(name), setting);
	/* An element that an option adds: it has no name in front. */
	if (name[0] == '[')
		name[0] = '\0';
	if (advice_value(setting, name[0] != '\0' ? name : option, advice))
		text = advice;
	setting_refuse(setting->file, option, "%s%s%s", name,
	    name[0] != '\0' ? ": " : "", text);
}

static void __attribute__((format(printf, 3, 0)))
complain(const struct setting *setting, bool of_name, const char *format,
    va_list args)
{
	struct syntax_place *place = place_of(setting);
	const char *option = setting_option(setting);
	char name[NAME_MAX], *text = NULL;
	size_t at, end;

	if (place != NULL && place->is_refused && !of_name) {
		setting->file->error_count++;
		return;
	}
	/* One complaint is enough, and an unknown setting has no rule. */
	if (place != NULL)
		place->is_refused = true;
	if (vasprintf(&text, format, args) == -1)
		text = NULL;
	const char *shown = text != NULL ? text : "out of memory";
	if (option != NULL) {
		complain_option(setting, option, shown);
	} else if (place != NULL && place->more_at > 0 &&
		   place->name_end == 0) {
		setting->file->error_count++;
		faults_add(setting->file->faults, place->more_at,
		    place->value_end, "a comma is missing before this");
	} else {
		setting->file->error_count++;
		print_name(name, sizeof(name), setting);
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

void
setting_complain_choice(const struct setting *setting, const char *text,
    const char *choices)
{
	char copy[ADVICE_MAX];
	const char *near = advice_choice(text, choices, copy);

	setting_complain(setting, "\"%.*s\" is not one of %s%s%s%s", SHOWN,
	    text, choices, near != NULL ? "; did you mean \"" : "",
	    near != NULL ? near : "",
	    near != NULL ? "\"?" : advise_quotes(setting));
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

const struct setting_rule *
setting_rule_named(const struct setting_rule *rules, const char *name)
{
	for (; rules != NULL && rules->name != NULL; rules++)
		if (strcmp(rules->name, name) == 0)
			return rules;
	return NULL;
}

const struct setting_rule *
setting_find_rule(const struct setting *setting,
    const struct setting_rule *rules)
{
	const char *name = config_setting_name(setting->node);
	const struct setting_rule *rule = setting_rule_named(rules, name);
	char advice[ADVICE_MAX];

	if (rule == NULL) {
		advice_name(setting, rules, advice);
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
	bool is_milli = strncasecmp(end, "ms", 2) == 0;
	if (end == text || is_milli || rule->unit == NULL || number > rule->max)
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
	const char *option = setting_option(group);
	char advice[ADVICE_MAX];

	if (!config_setting_is_group(group->node)) {
		advice_names(rules, "is a group: needs GROUP.NAME=VALUE",
		    advice);
		setting_complain(group, "%s",
		    option != NULL ? advice : "needs a group: { ... }");
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
