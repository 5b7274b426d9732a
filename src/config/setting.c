#include "config/setting.h"

#include <stdarg.h>
#include <string.h>
#include <sys/un.h>

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

void
setting_complain(struct setting_reader *reader, const config_setting_t *setting,
    const char *format, ...)
{
	va_list args;

	fprintf(reader->errors, "%s:%d: ", reader->path,
	    (int)config_setting_source_line(setting));
	print_name(reader->errors, setting);
	fprintf(reader->errors, ": ");
	va_start(args, format);
	vfprintf(reader->errors, format, args);
	va_end(args);
	fputc('\n', reader->errors);
	reader->error_count++;
}

const struct setting_rule *
setting_find_rule(struct setting_reader *reader,
    const config_setting_t *setting, const struct setting_rule *rules)
{
	const char *name = config_setting_name(setting);
	char known[256] = "";

	for (; rules->name != NULL; rules++) {
		if (strcmp(rules->name, name) == 0)
			return rules;
		strncat(known, " ", sizeof(known) - strlen(known) - 1);
		strncat(known, rules->name, sizeof(known) - strlen(known) - 1);
	}
	setting_complain(reader, setting, "no such setting; there are:%s",
	    known);
	return NULL;
}

static void
read_number(struct setting_reader *reader, const config_setting_t *setting,
    const struct setting_rule *rule, int *value)
{
	int type = config_setting_type(setting);

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		setting_complain(reader, setting,
		    "needs a whole number from %d to %d", rule->min, rule->max);
		return;
	}
	long long number = config_setting_get_int64(setting);
	if (number < rule->min || number > rule->max)
		setting_complain(reader, setting,
		    "%lld is out of range: %d to %d are allowed", number,
		    rule->min, rule->max);
	else
		*value = (int)number;
}

static void
read_choice(struct setting_reader *reader, const config_setting_t *setting,
    const struct setting_rule *rule, int *value)
{
	const char *text = config_setting_get_string(setting);
	int choice = rule->parse(text);

	if (choice == -1)
		setting_complain(reader, setting, "\"%s\" is none of %s", text,
		    rule->choices);
	else
		*value = choice;
}

void
setting_read_path(struct setting_reader *reader,
    const config_setting_t *setting, const char *text, void *value)
{
	size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (text[0] != '/')
		setting_complain(reader, setting,
		    "\"%s\" is not an absolute path", text);
	else if (strlen(text) >= room)
		setting_complain(reader, setting,
		    "the path has %zu bytes, but a socket's has at most %zu",
		    strlen(text), room - 1);
	else
		strcpy(value, text);
}

void
setting_read(struct setting_reader *reader, const config_setting_t *setting,
    const struct setting_rule *rule, void *base)
{
	const char *text = config_setting_get_string(setting);
	void *value = (char *)base + rule->offset;

	if (text != NULL && rule->read_text != NULL)
		rule->read_text(reader, setting, text, value);
	else if (text != NULL && rule->parse != NULL)
		read_choice(reader, setting, rule, value);
	else if (rule->max > 0)
		read_number(reader, setting, rule, value);
	else
		setting_complain(reader, setting, "needs text in \"quotes\"");
}
