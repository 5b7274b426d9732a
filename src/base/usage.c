#include "base/usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/message.h"

int
usage_complain(const char *program, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program);
	va_start(args, format);
	message_vprint(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; %s -h lists the options\n", program);
	return -1;
}

/* How many begin with the first len bytes of name, and mean value, if not 0. */
static int
count_matches(const struct option *option, const char *name, size_t len,
    int value)
{
	int count = 0;

	for (; option->name != NULL; option++)
		count += strncmp(option->name, name, len) == 0 &&
		         (value == 0 || option->val == value);
	return count;
}

/* What is wrong with a word that begins with two dashes; NULL: another word. */
static const char *
judge_long(int result, const char *word, const struct option *options)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0 || len < 2)
		return NULL;
	int count = count_matches(options, word + 2, len - 2, optopt);
	if (result == ':')
		return "needs a value";
	if (optopt == 0)
		return count > 1 ? "is ambiguous" : "no such option";
	return count > 0 ? "takes no value" : NULL;
}

int
usage_refuse(const char *program, int result, char *const *argv,
    const struct option *options)
{
	/* Of letters that share a word the last one alone moves optind on. */
	const char *word = argv[optind - 1];
	const char *why = judge_long(result, word, options);

	if (why != NULL)
		return usage_complain(program, "%.*s: %s",
		    (int)strcspn(word, "="), word, why);
	return usage_complain(program, "-%c: %s", optopt,
	    result == ':' ? "needs a value" : "no such option");
}
