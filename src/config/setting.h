#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/protocol.h"
#include "syntax/faults.h"
#include "syntax/syntax.h"

struct setting_home;

/* The file that is read, and what is wrong in it; of config_load. */
struct setting_file {
	const char *path;
	struct faults *faults;
	struct syntax *syntax; /* NULL: the places of settings are unknown */
	const struct setting_home *homes; /* all tables */
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
	const char *unit;            /* of a number, or NULL */
	void (*read_text)(const struct setting *setting, const char *text,
	    void *base); /* for all other text */
	void (*read_list)(const struct setting *list, void *base);
	const struct setting_rule *members; /* of a group */
};

/* A table, and its group, for a message; "": none. */
struct setting_home {
	const char *group;
	const struct setting_rule *rules; /* NULL ends the list */
};

/* Tells each setting below root where it stands, by the syntax of its file. */
void setting_attach(const struct setting *root);

/* Member number i of a group or list. */
struct setting setting_member(const struct setting *parent, int i);

/*
 * The option of the command line that the setting comes from, such as "-o
 * workers"; NULL: it is from the file.  It is the hook of its node, or of one
 * above.  The hook of a setting of the file is its place.
 */
const char *setting_option(const struct setting *setting);

/* Adds a fault of an option. */
void setting_refuse(struct setting_file *file, const char *option,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Adds "name: " and the formatted text to the faults, where the value stands;
 * of a setting of the command line with its option.  Says nothing if the syntax
 * of the value was refused, but counts.
 */
void setting_complain(const struct setting *setting, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The same of a value that is not one of choices, which are in quotes:
 * "\"a\", \"b\" and \"c\"".  Says which one is near.
 */
void setting_complain_choice(const struct setting *setting, const char *text,
    const char *choices);

/* Complains of text without quotes, where nothing else was said of it. */
void setting_check_quotes(struct setting_file *file);

/* The rule of that name; NULL, when rules, or NULL, has none. */
const struct setting_rule *setting_rule_named(const struct setting_rule *rules,
    const char *name);

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
