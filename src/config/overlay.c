/*
 * The command line becomes a part of the tree that libconfig made of the file,
 * so that the same rules read both.
 */
#include "config/overlay.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/advice.h"
#include "config/listener_config.h"

/* Where a setting goes, and on whose behalf. */
struct target {
	struct setting_file *file;
	config_setting_t *group;
	const struct setting_rule *rules; /* of group; NULL: unknown */
	char *label;
	bool is_global; /* -o: each setting is labelled */
};

/* Of what libconfig takes as a name; 0: it is none. */
static size_t
name_length(const char *text)
{
	size_t len = isalpha((unsigned char)text[0]) ? 1 : 0;

	while (len > 0 && (isalnum((unsigned char)text[len]) ||
			      (text[len] != '\0' && strchr("_-*", text[len]))))
		len++;
	return len;
}

/* "NAME" or "GROUP.NAME" */
static bool
is_path(const char *text)
{
	size_t len = name_length(text);

	if (len > 0 && text[len] == '.') {
		text += len + 1;
		len = name_length(text);
	}
	return len > 0 && text[len] == '\0';
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
	const struct setting_rule *rule = setting_rule_named(target->rules,
	    name);
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
	const struct setting_rule *rule = setting_rule_named(target->rules,
	    name);
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
	const struct setting_rule *rule = setting_rule_named(target.rules,
	    name);
	if (dot != NULL && rule != NULL && rule->members == NULL)
		setting_refuse(target.file, target.label,
		    "\"%s\" is not a group: needs %s=VALUE", name, name);
	else if (dot == NULL)
		set_member(&target, name, value);
	else if (enter_group(&target, name))
		set_member(&target, dot + 1, value);
}

/* One "NAME=VALUE", which is changed; lead is what a suggestion begins with. */
static void
set_pair(struct target target, char *text, const char *lead)
{
	const struct setting_rule *rule = setting_rule_named(target.rules,
	    text);
	char *equals = strchr(text, '='), pair[ADVICE_MAX];
	bool is_near = advice_pair(text, pair);

	if (equals != NULL)
		*equals = '\0';
	if (equals != NULL && is_path(text)) {
		set_path(target, text, equals + 1);
		return;
	}
	if (!is_near && rule != NULL && rule->is_flag) {
		snprintf(pair, sizeof(pair), "%s=true", text);
		is_near = true;
	}
	setting_refuse(target.file, target.label,
	    "needs NAME=VALUE or GROUP.NAME=VALUE%s%s%s%s",
	    is_near ? "; did you mean " : "", is_near ? lead : "",
	    is_near ? pair : "", is_near ? "?" : "");
}

/* One -o; text is changed. */
static void
set_global(struct target target, char *text)
{
	size_t len = strcspn(text, ".=[");

	if (strncmp(text, "listeners", len) == 0 && len == 9)
		setting_refuse(target.file, target.label,
		    "needs -l, as in -l tcp:7000,framing=line");
	else
		set_pair(target, text, "-o ");
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

/* The beginning of a SPEC has no known form. */
static void
refuse_spec(const struct target *target, const char *spec, bool has_more)
{
	char meant[ADVICE_MAX];

	if (advice_spec(spec, meant))
		setting_refuse(target->file, target->label,
		    "is not a SPEC; did you mean -l %s%s?", meant,
		    has_more ? ",..." : "");
	else
		setting_refuse(target->file, target->label,
		    "needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
		    "unix:/path, unix-dgram:/path or unix-seqpacket:/path");
}

/* What is behind a comma has no '='; before is the name of the one before. */
static void
refuse_piece(const struct target *target, const char *piece, const char *before)
{
	const struct setting_rule *rule = setting_rule_named(target->rules,
	    before);
	char meant[ADVICE_MAX];

	if (rule != NULL && is_list(rule) && piece[0] != '\0')
		setting_refuse(target->file, target->label,
		    "%s: takes one at a time; repeat %s=", before, before);
	else if (advice_spec(piece, meant))
		setting_refuse(target->file, target->label,
		    "each listener needs an -l of its own, as in -l %s", meant);
	else if (advice_pair(piece, meant))
		setting_refuse(target->file, target->label,
		    "needs NAME=VALUE behind each comma; did you mean %s?",
		    meant);
	else
		setting_refuse(target->file, target->label,
		    "needs NAME=VALUE behind each comma; a comma in a value is "
		    "\\,");
}

/* One -l; text is changed.  False: it says where to listen in no known form. */
static bool
set_listener(struct target target, char *text)
{
	char *piece = cut_piece(&text);

	config_setting_set_hook(target.group, target.label);
	if (!listener_config_split(target.group, piece)) {
		refuse_spec(&target, piece, text != NULL);
		return false;
	}
	for (const char *before = ""; (piece = cut_piece(&text)) != NULL;
	     before = piece)
		if (strchr(piece, '=') == NULL) {
			refuse_piece(&target, piece, before);
			return false;
		} else {
			set_pair(target, piece, "");
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
