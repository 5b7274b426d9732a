/*
 * The command line becomes a part of the tree that libconfig made of the file,
 * so that the same rules read both.
 */
#include "config/overlay.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/listener_config.h"

/* Where a setting goes, and on whose behalf. */
struct target {
	struct setting_file *file;
	config_setting_t *group;
	const struct setting_rule *rules; /* of group; NULL: unknown */
	char *label;
	bool is_global; /* -o: each setting is labelled */
};

static const struct setting_rule *
find_rule(const struct setting_rule *rule, const char *name)
{
	for (; rule != NULL && rule->name != NULL; rule++)
		if (strcmp(rule->name, name) == 0)
			return rule;
	return NULL;
}

/* What libconfig takes as a name. */
static bool
is_name(const char *text)
{
	if (!isalpha((unsigned char)text[0]))
		return false;
	while (isalnum((unsigned char)*text) ||
	       (*text != '\0' && strchr("_-*", *text) != NULL))
		text++;
	return *text == '\0';
}

static bool
is_number(const char *text)
{
	text += text[0] == '-';
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
is_bool(const char *text)
{
	return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
}

/* A list has its own way of reading, and needs nothing that could be said. */
static bool
is_list(const struct setting_rule *rule)
{
	return rule != NULL && rule->read_list != NULL && rule->needs == NULL;
}

/* Adds a setting of the type that its rule asks for; else it is text. */
static void
add_value(const struct target *target, const char *name, const char *value)
{
	const struct setting_rule *rule = find_rule(target->rules, name);
	config_setting_t *node, *group = target->group;

	if (is_list(rule)) {
		node = config_setting_add(group, name, CONFIG_TYPE_ARRAY);
		if (value[0] != '\0')
			config_setting_set_string_elem(node, -1, value);
	} else if (rule != NULL && rule->is_flag && is_bool(value)) {
		node = config_setting_add(group, name, CONFIG_TYPE_BOOL);
		config_setting_set_bool(node, strcmp(value, "true") == 0);
	} else if (rule != NULL && rule->max > 0 && is_number(value)) {
		node = config_setting_add(group, name, CONFIG_TYPE_INT64);
		config_setting_set_int64(node, strtoll(value, NULL, 10));
	} else {
		node = config_setting_add(group, name, CONFIG_TYPE_STRING);
		config_setting_set_string(node, value);
	}
	if (target->is_global)
		config_setting_set_hook(node, target->label);
}

/* Sets name, a member of the group, in place of what the file says. */
static void
set_member(const struct target *target, const char *name, const char *value)
{
	config_setting_t *old = config_setting_get_member(target->group, name);
	bool is_ours = old != NULL && config_setting_source_line(old) == 0;

	if (is_ours && config_setting_type(old) == CONFIG_TYPE_ARRAY &&
	    value[0] != '\0') {
		config_setting_set_string_elem(old, -1, value);
	} else if (is_ours) {
		setting_complain(&(struct setting){ target->file, old },
		    "is given twice");
	} else {
		if (old != NULL)
			config_setting_remove(target->group, name);
		add_value(target, name, value);
	}
}

/* Makes the target one of the group name in it.  False: there can't be one. */
static bool
enter_group(struct target *target, const char *name)
{
	const struct setting_rule *rule = find_rule(target->rules, name);
	config_setting_t *group = config_setting_get_member(target->group,
	    name);

	if (group == NULL) {
		group = config_setting_add(target->group, name,
		    CONFIG_TYPE_GROUP);
		if (target->is_global)
			config_setting_set_hook(group, target->label);
	}
	target->group = group;
	target->rules = rule != NULL ? rule->members : NULL;
	/* Else the reader complains of it. */
	return config_setting_is_group(group);
}

/* Sets "NAME" or "GROUP.NAME", which it changes. */
static void
set_path(struct target target, char *name, const char *value)
{
	char *dot = strchr(name, '.');

	if (dot != NULL)
		*dot = '\0';
	if (!is_name(name) || (dot != NULL && !is_name(dot + 1)))
		setting_refuse(target.file, target.label,
		    "needs NAME=VALUE or GROUP.NAME=VALUE");
	else if (dot == NULL)
		set_member(&target, name, value);
	else if (enter_group(&target, name))
		set_member(&target, dot + 1, value);
}

/* One -o; text is changed. */
static void
set_global(struct target target, char *text)
{
	char *equals = strchr(text, '=');
	const struct setting_rule *rule;

	if (equals == NULL) {
		setting_refuse(target.file, target.label,
		    "needs NAME=VALUE or GROUP.NAME=VALUE");
		return;
	}
	*equals = '\0';
	rule = find_rule(target.rules, text);
	if (strcmp(text, "listeners") == 0 ||
	    strncmp(text, "listeners.", strlen("listeners.")) == 0)
		setting_refuse(target.file, target.label,
		    "is for the file; -l SPEC listens elsewhere");
	else if (rule != NULL && rule->members != NULL)
		setting_refuse(target.file, target.label,
		    "is a group: needs GROUP.NAME=VALUE");
	else
		set_path(target, text, equals + 1);
}

/* Cuts the first piece off *rest: up to a comma that has no '\' in front. */
static char *
cut_piece(char **rest)
{
	char *piece = *rest, *to = piece, *from = piece;

	if (piece == NULL)
		return NULL;
	while (*from != '\0' && *from != ',') {
		from += from[0] == '\\' && from[1] == ',';
		*to++ = *from++;
	}
	*rest = *from == ',' ? from + 1 : NULL;
	*to = '\0';
	return piece;
}

/* One -l; text is changed.  False: it says where to listen in no known form. */
static bool
set_listener(struct target target, char *text)
{
	char *piece = cut_piece(&text);

	config_setting_set_hook(target.group, target.label);
	if (!listener_config_split(target.group, piece)) {
		setting_refuse(target.file, target.label,
		    "needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
		    "unix:/path, unix-dgram:/path or unix-seqpacket:/path");
		return false;
	}
	while ((piece = cut_piece(&text)) != NULL) {
		char *equals = strchr(piece, '=');
		if (equals == NULL) {
			setting_refuse(target.file, target.label,
			    "needs NAME=VALUE behind each comma; a comma in a "
			    "value is \\,");
			return false;
		}
		*equals = '\0';
		set_path(target, piece, equals + 1);
	}
	return true;
}

/* NULL: out of memory. */
static char *
add_label(struct overlay *overlay, char letter, const char *text, size_t len)
{
	char *label;

	if (asprintf(&label, "-%c %.*s", letter, (int)len, text) == -1)
		return NULL;
	overlay->labels[overlay->count++] = label;
	return label;
}

static bool
apply_settings(struct overlay *overlay, struct target target,
    const struct config_source *source)
{
	for (size_t i = 0; i < source->setting_count; i++) {
		const char *given = source->settings[i];
		char *text = strdup(given);

		size_t len = strcspn(given, "=");
		target.label = add_label(overlay, 'o', given,
		    len > 0 ? len : strlen(given));
		if (text == NULL || target.label == NULL) {
			free(text);
			return false;
		}
		set_global(target, text);
		free(text);
	}
	return true;
}

static bool
apply_specs(struct overlay *overlay, const struct setting *root,
    const struct config_source *source)
{
	config_setting_t *tree = (config_setting_t *)(uintptr_t)root->node;
	bool is_right = true;

	config_setting_remove(tree, "listeners");
	config_setting_t *list = config_setting_add(tree, "listeners",
	    CONFIG_TYPE_LIST);
	for (size_t i = 0; i < source->spec_count; i++) {
		const char *given = source->specs[i];
		char *text = strdup(given);
		struct target target = {
			.file = root->file,
			.group = config_setting_add(list, NULL,
			    CONFIG_TYPE_GROUP),
			.rules = listener_config_rules(),
			.label = add_label(overlay, 'l', given, strlen(given)),
		};

		if (text == NULL || target.label == NULL) {
			free(text);
			return false;
		}
		is_right &= set_listener(target, text);
		free(text);
	}
	if (!is_right) /* the reader would only say so again */
		config_setting_remove(tree, "listeners");
	return true;
}

bool
overlay_apply(struct overlay *overlay, const struct setting *root,
    const struct config_source *source, const struct setting_rule *rules)
{
	struct target target = {
		.file = root->file,
		.group = (config_setting_t *)(uintptr_t)root->node,
		.rules = rules,
		.is_global = true,
	};
	size_t count = source->spec_count + source->setting_count;

	*overlay = (struct overlay){ .labels = calloc(count + 1,
					 sizeof(char *)) };
	return overlay->labels != NULL &&
	       apply_settings(overlay, target, source) &&
	       (source->spec_count == 0 || apply_specs(overlay, root, source));
}

void
overlay_free(struct overlay *overlay)
{
	for (size_t i = 0; i < overlay->count; i++)
		free(overlay->labels[i]);
	free(overlay->labels);
	*overlay = (struct overlay){ 0 };
}
