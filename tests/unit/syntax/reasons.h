#ifndef UNIT_SYNTAX_REASONS_H
#define UNIT_SYNTAX_REASONS_H

/*
 * Whatever libconfig takes, our syntax takes: nobody's file is refused for the
 * sake of better messages.  Here are the exceptions, with their reasons; unit
 * tests and fuzzing look for others.
 */
#include <libconfig.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syntax/syntax.h"

static bool
is_taken(const char *text)
{
	config_t tree;

	config_init(&tree);
	bool taken = config_read_string(&tree, text);
	config_destroy(&tree);
	return taken;
}

/* libconfig forgets a comment or text that does not end, and what is in it. */
static bool
is_cut_off(const char *text)
{
	char *more;
	bool taken = asprintf(&more, "%s\n?\n", text) != -1 && is_taken(more);

	free(more);
	return taken;
}

/*
 * A number that runs into a name, 5m = 1, rather has a unit; libconfig 1.5
 * takes a number that is out of range modulo 2^32.
 */
static bool
has_wrong_number(const char *text)
{
	static const char bytes[] = "0123456789.+-_*"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz";

	while (*(text += strcspn(text, bytes)) != '\0') {
		size_t len = strspn(text, bytes);
		char *end;
		double value = strtod(text, &end);
		size_t longs = strspn(end, "L");
		double max = longs > 0 ? (double)INT64_MAX : INT_MAX;
		if (strchr("0123456789.+-", *text) != NULL &&
		    (end + longs != text + len || value > max || value < -max))
			return true;
		text += len;
	}
	return false;
}

/* Whether text, which libconfig takes, is refused without a reason. */
static bool
is_refused_without_reason(const struct syntax *syntax,
    const struct faults *faults)
{
	static const char *const reasons[] = {
		"@include",          /* a file that may be any other */
		"nested too deeply", /* room for far more than there are */
		"too many settings", /* libconfig searches all of them */
		", is one too many", /* libconfig 1.5 refuses it as well */
	};
	bool is_refused = faults->count > 0;

	for (size_t i = 0; i < syntax->count; i++)
		is_refused |= syntax->places[i].is_bare;
	for (size_t i = 0; i < faults->count && i < FAULTS_MAX; i++)
		for (size_t j = 0; j < sizeof(reasons) / sizeof(*reasons); j++)
			if (strstr(faults->list[i].text, reasons[j]) != NULL)
				return false;
	return is_refused && !has_wrong_number(faults->text) &&
	       !is_cut_off(faults->text);
}

#endif
