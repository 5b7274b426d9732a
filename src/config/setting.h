#ifndef CONFIG_SETTING_H
#define CONFIG_SETTING_H

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * One setting of the configuration file and the rule for its value.  The main
 * thread.
 */

/* The state of reading one file; belongs to config_load. */
struct setting_reader {
	const char *path; /* of the file, for messages */
	FILE *errors;     /* a line for each fault */
	int error_count;
};

/*
 * A setting that is allowed in a group, and where its value goes.  One with max
 * takes a whole number, one with parse or read_text takes text, one with both
 * takes either.
 */
struct setting_rule {
	const char *name;   /* NULL ends a table */
	unsigned protocols; /* of the listeners that have it; 0: all */
	int (*parse)(const char *text); /* one of choices; -1: none */
	const char *choices;            /* for the message */
	void (*read_text)(struct setting_reader *reader,
	    const config_setting_t *setting, const char *text, void *value);
	size_t
	    offset; /* of the value in its struct; an int but for read_text */
	int min, max;
	const struct setting_rule *members; /* of a group */
};

/* "file:line: name: " and the formatted text, as a line in reader->errors. */
void setting_complain(struct setting_reader *reader,
    const config_setting_t *setting, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The rule for setting; NULL, after a complaint, when rules has none. */
const struct setting_rule *setting_find_rule(struct setting_reader *reader,
    const config_setting_t *setting, const struct setting_rule *rules);

/* A read_text: an absolute path that fits into the address of a Unix socket. */
void setting_read_path(struct setting_reader *reader,
    const config_setting_t *setting, const char *text, void *value);

/* Puts the value of setting into the struct at base, or complains. */
void setting_read(struct setting_reader *reader,
    const config_setting_t *setting, const struct setting_rule *rule,
    void *base);

#endif
