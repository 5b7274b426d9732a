#include "config/printer.h"

#include <string.h>

#include "config/listener_config.h"

/* A group: its rules, the struct of its values, and its node or NULL. */
struct group {
	const struct setting_rule *rules;
	const void *base;
	const config_setting_t *node;
	enum protocol protocol;    /* of a listener */
	bool is_sparse;            /* what has no value is left out */
	const char *mark, *indent; /* in front of a line */
};

static void
print_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			fprintf(out, "\\x%02x", *text);
		else
			fputc(*text, out);
	fputc('"', out);
}

/* Of the names in quotes that a rule offers, the one that has this value. */
static void
print_choice(FILE *out, const struct setting_rule *rule, int value)
{
	const char *at = rule->choices, *end;
	char name[32];

	while ((at = strchr(at, '"')) != NULL &&
	       (end = strchr(++at, '"')) != NULL) {
		snprintf(name, sizeof(name), "%.*s", (int)(end - at), at);
		at = end + 1;
		if (rule->parse(name) == value)
			print_text(out, name);
	}
}

static void
print_list(FILE *out, const config_setting_t *list)
{
	int count = list != NULL ? config_setting_length(list) : 0;

	fputc('[', out);
	for (int i = 0; i < count; i++) {
		fputs(i > 0 ? ", " : " ", out);
		print_text(out, config_setting_get_string_elem(list, i));
	}
	fputs(count > 0 ? " ]" : "]", out);
}

static void
print_number(FILE *out, int number)
{
	if (number == CONFIG_AUTO)
		fputs("\"auto\"", out);
	else
		fprintf(out, "%d", number);
}

static void
print_value(FILE *out, const struct setting_rule *rule,
    const config_setting_t *node, const char *value)
{
	const int *number = (const int *)(const void *)value;

	if (rule->read_list != NULL && rule->needs == NULL)
		print_list(out, node);
	else if (rule->read_list != NULL)
		print_text(out, node ? config_setting_get_string(node) : "");
	else if (rule->is_flag)
		fputs(*(const bool *)value ? "true" : "false", out);
	else if (rule->max > 0)
		print_number(out, *number);
	else if (rule->choices != NULL)
		print_choice(out, rule, *number);
	else if (rule->parse != NULL)
		fprintf(out, "\"%04o\"", (unsigned)*number);
	else
		print_text(out, value);
}

static const config_setting_t *
find_node(const config_setting_t *group, const char *name)
{
	return group != NULL ? config_setting_get_member(group, name) : NULL;
}

static bool
is_printed(const struct group *group, const struct setting_rule *rule)
{
	const char *value = (const char *)group->base + rule->offset;

	if (rule->protocols != 0 &&
	    (rule->protocols & 1U << group->protocol) == 0)
		return false;
	if (!group->is_sparse)
		return true;
	return rule->max > 0 ? *(const int *)(const void *)value != -1
	                     : *value != '\0';
}

static void
print_settings(FILE *out, const struct group *group)
{
	for (const struct setting_rule *rule = group->rules; rule->name != NULL;
	     rule++) {
		if (rule->members != NULL || !is_printed(group, rule))
			continue;
		fprintf(out, "%s%s%s = ", group->mark, group->indent,
		    rule->name);
		print_value(out, rule, find_node(group->node, rule->name),
		    (const char *)group->base + rule->offset);
		fputs(";\n", out);
	}
}

static void
print_stamp(FILE *out, const struct setting_rule *rules,
    const struct listener_config *listener, const char *mark)
{
	struct group group = { .base = listener,
		.mark = mark,
		.indent = "\t\t\t" };

	while (rules->members == NULL)
		rules++;
	group.rules = rules->members;
	fprintf(out, "%s\t\t%s: {\n", mark, rules->name);
	print_settings(out, &group);
	fprintf(out, "%s\t\t};\n", mark);
}

/* In comments, with mark, what would no longer give way to passed sockets. */
static void
print_listener(FILE *out, const struct config *config, size_t i,
    const config_setting_t *list)
{
	const char *mark = config->built_in_listeners ? "// " : "";
	struct listener_config listener = config->listeners[i];
	struct group group = {
		.rules = listener_config_rules(),
		.base = &listener,
		.protocol = listener.protocol,
		.mark = mark,
		.indent = "\t\t",
	};

	if (list != NULL)
		group.node = config_setting_get_elem(list, (unsigned)i);
	listener.idle_timeout = config_idle_timeout(config, &listener,
	    listener.framing);
	if (listener.stamp.text[0] == '\0')
		listener.stamp = config->stamp;
	if (listener.timezone[0] == '\0')
		strcpy(listener.timezone, config->timezone);
	fprintf(out, "%s\n%s\t{\n", i > 0 ? "," : "", mark);
	print_settings(out, &group);
	print_stamp(out, group.rules, &listener, mark);
	fprintf(out, "%s\t}", mark);
}

static void
print_group(FILE *out, const struct config *config,
    const struct setting_rule *rule)
{
	struct group group = {
		.rules = rule->members,
		.base = config,
		.mark = "",
		.indent = "\t",
		.is_sparse = strcmp(rule->name, "http") == 0,
	};

	if (group.is_sparse && config->http.where[0] == '\0') {
		fprintf(out, "// %s: off\n", rule->name);
		return;
	}
	fprintf(out, "%s: {\n", rule->name);
	print_settings(out, &group);
	fputs("};\n", out);
}

void
printer_write(FILE *out, const struct config *config,
    const struct setting_rule *rules, const config_setting_t *tree)
{
	const config_setting_t *list = find_node(tree, "listeners");
	struct group root = { rules, config, tree, 0, false, "", "" };
	const char *mark = config->built_in_listeners ? "// " : "";

	print_settings(out, &root);
	for (; rules->name != NULL; rules++)
		if (rules->members != NULL && rules->members->name != NULL)
			print_group(out, config, rules);
	fprintf(out, "%slisteners = (", mark);
	for (size_t i = 0; i < config->listener_count; i++)
		print_listener(out, config, i, list);
	fprintf(out, "\n%s);\n", mark);
}
