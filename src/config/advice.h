#ifndef CONFIG_ADVICE_H
#define CONFIG_ADVICE_H

#include <stdbool.h>

#include "config/setting.h"

/*
 * What was probably meant by something wrong, in the terms of the place where
 * it stands: the file, or the command line.  The main thread.
 */
#define ADVICE_MAX 512

/* The whole reason why the name of setting is wrong: rules has no such one. */
void advice_name(const struct setting *setting,
    const struct setting_rule *rules, char advice[ADVICE_MAX]);

/* Why, and the names of rules. */
void advice_names(const struct setting_rule *rules, const char *why,
    char advice[ADVICE_MAX]);

/*
 * The one of choices that is near to text, in copy; NULL: none is.  They are in
 * quotes: "\"a\", \"b\" and \"c\"".
 */
const char *advice_choice(const char *text, const char *choices,
    char copy[ADVICE_MAX]);

/*
 * The whole reason if the text of a setting of the command line has quotes and
 * the like around it, or is several; name is what its option calls it.  False:
 * something else is wrong.
 */
bool advice_value(const struct setting *setting, const char *name,
    char advice[ADVICE_MAX]);

/*
 * For what is not NAME=VALUE, such as "limits: { idle_timeout = 5; }": what it
 * would be in that form.  False: unknown.
 */
bool advice_pair(const char *text, char pair[ADVICE_MAX]);

/* The same of the beginning of a SPEC, such as "127.0.0.1:7000". */
bool advice_spec(const char *text, char spec[ADVICE_MAX]);

#endif
