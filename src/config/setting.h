#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/protocol.h"

/* The file that is read, its errors and their number; of config_load. */
struct setting_file {
	const char *path;
	FILE *errors;
	int error_count;
	int option_errors; /* of them, those of the command line */
};

/* A setting, group or list of the file.  The main thread. */
struct setting {
	struct setting_file *file;
	const config_setting_t *node;
};

/*
 * A setting that is allowed in a group, and where its value goes: an int, a
 * bool or char[size].  A rule with is_flag takes true or false; one with max
 * takes a whole number, with read_text text too; any other takes text.
 * One with read_list takes a list or an array.
 */
struct setting_rule {
	const char *name;   /* NULL ends a table */
	unsigned protocols; /* bits, of the listeners that have it; 0: all */
	size_t offset, size;
	int min, max;
	bool is_flag;
	int (*parse)(const char *text); /* -1: wrong */
	bool (*is_valid)(const char *text);
	const char *choices, *needs; /* one of them, for the message */
	void (*read_text)(const struct setting *setting, const char *text,
	    void *base); /* for all other text */
	void (*read_list)(const struct setting *list, void *base);
	const struct setting_rule *members; /* of a group */
};

/* Member number i of a group or list. */
struct setting setting_member(const struct setting *parent, int i);

/*
 * The option of the command line that the setting comes from, such as "-o
 * workers"; NULL: it is from the file.  It is the hook of its node, or of one
 * above.
 */
const char *setting_option(const struct setting *setting);

/* Writes a line of errors about an option. */
void setting_refuse(struct setting_file *file, const char *option,
    const char *why);

/*
 * Writes "file:line: name: " and the formatted text as a line of errors; of a
 * setting of the command line its option.
 */
void setting_complain(const struct setting *setting, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The rule for setting; NULL, after a complaint, when rules has none. */
const struct setting_rule *setting_find_rule(const struct setting *setting,
    const struct setting_rule *rules);

/* Puts the value of setting into the struct at base, or complains. */
void setting_read(const struct setting *setting,
    const struct setting_rule *rule, void *base);

/* The same for each setting of a group; protocol is that of a listener. */
void setting_read_group(const struct setting *group,
    const struct setting_rule *rules, enum protocol protocol, void *base);

#endif
