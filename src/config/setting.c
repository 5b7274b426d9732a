#include "config/setting.h"

#include <stdarg.h>
#include <string.h>

#include "base/message.h"

#define OPTION_END "; timestampd -h lists the options\n"

struct setting
setting_member(const struct setting *parent, int i)
{
	return (struct setting){ parent->file,
		config_setting_get_elem(parent->node, (unsigned)i) };
}

const char *
setting_option(const struct setting *setting)
{
	const config_setting_t *node = setting->node;

	while (node != NULL && config_setting_get_hook(node) == NULL)
		node = config_setting_parent(node);
	return node != NULL ? config_setting_get_hook(node) : NULL;
}

void
setting_refuse(struct setting_file *file, const char *option, const char *why)
{
	message_print(file->errors, "timestampd: %s: ", option);
	message_print(file->errors, "%s", why);
	fputs(OPTION_END, file->errors);
	file->error_count++;
	file->option_errors++;
}

/*
 * "listeners[1].port", "limits.idle_timeout", "workers"; of an option what is
 * below the node that is its own.
 */
static void
print_name(FILE *out, const config_setting_t *node)
{
	const config_setting_t *path[4];
	int depth = 0;

	for (; depth < 4 && !config_setting_is_root(node) &&
	       config_setting_get_hook(node) == NULL;
	     node = config_setting_parent(node))
		path[depth++] = node;
	for (int i = depth - 1; i >= 0; i--)
		if (config_setting_name(path[i]) == NULL)
			fprintf(out, "[%d]", config_setting_index(path[i]));
		else
			fprintf(out, "%s%s", i == depth - 1 ? "" : ".",
			    config_setting_name(path[i]));
}

void
setting_complain(const struct setting *setting, const char *format, ...)
{
	FILE *errors = setting->file->errors;
	const char *option = setting_option(setting);
	va_list args;

	if (option != NULL)
		message_print(errors, "timestampd: %s: ", option);
	else
		message_print(errors, "%s:%d: ", setting->file->path,
		    (int)config_setting_source_line(setting->node));
	print_name(errors, setting->node);
	if (config_setting_get_hook(setting->node) == NULL)
		fputs(": ", errors);
	va_start(args, format);
	message_vprint(errors, format, args);
	va_end(args);
	fputs(option != NULL ? OPTION_END : "\n", errors);
	setting->file->error_count++;
	setting->file->option_errors += option != NULL;
}

const struct setting_rule *
setting_find_rule(const struct setting *setting,
    const struct setting_rule *rules)
{
	const char *name = config_setting_name(setting->node);
	char known[256] = "";

	for (; rules->name != NULL; rules++) {
		if (strcmp(rules->name, name) == 0)
			return rules;
		strncat(known, " ", sizeof(known) - strlen(known) - 1);
		strncat(known, rules->name, sizeof(known) - strlen(known) - 1);
	}
	setting_complain(setting, "no such setting; there are:%s", known);
	return NULL;
}

static void
read_number(const struct setting *setting, const struct setting_rule *rule,
    int *value)
{
	int type = config_setting_type(setting->node);
	long long number = config_setting_get_int64(setting->node);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
		setting_complain(setting, "needs a whole number from %d to %d",
		    rule->min, rule->max);
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
	if (config_setting_type(setting->node) == CONFIG_TYPE_BOOL)
		*value = config_setting_get_bool(setting->node);
	else
		setting_complain(setting, "needs true or false");
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
		setting_complain(setting, "\"%s\" is none of %s", text,
		    rule->choices);
	else
		setting_complain(setting, "needs %s", rule->needs);
}

void
setting_read(const struct setting *setting, const struct setting_rule *rule,
    void *base)
{
	const char *text = config_setting_get_string(setting->node);
	char *value = (char *)base + rule->offset;

	if (rule->read_list != NULL)
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
		setting_complain(setting, "needs text in \"quotes\"");
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
			setting_complain(&setting,
			    "does not apply to a %s listener",
			    protocol_name(protocol));
		else
			setting_read(&setting, rule, base);
	}
}
