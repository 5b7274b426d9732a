#include "config/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The state of one config_file_read. */
struct scan {
	const char *path, *text;
	FILE *errors;
	int error_count;
};

/* Begins a line of errors about the text at "at"; the caller ends it. */
static FILE *
complain(struct scan *scan, const char *at)
{
	size_t line = 1;

	for (const char *c = scan->text; c < at; c++)
		line += *c == '\n';
	fprintf(scan->errors, "%s:%zu: ", scan->path, line);
	scan->error_count++;
	return scan->errors;
}

/* Each of these returns the end of what begins at "at". */

static const char *
skip_string(const char *at)
{
	at++;
	while (*at != '\0' && *at != '"')
		at += *at == '\\' && at[1] != '\0' ? 2 : 1;
	return *at != '\0' ? at + 1 : at;
}

static const char *
skip_comment(const char *at)
{
	const char *end = strstr(at + 2, "*/");

	return end != NULL ? end + 2 : strchr(at, '\0');
}

static const char *
skip_word(const char *at)
{
	while (*at != '\0' &&
	       (isalnum((unsigned char)*at) || strchr("_-*.", *at) != NULL))
		at++;
	return at;
}

/* An integer, which may end in L, or a fraction, which no setting takes. */
static const char *
check_number(struct scan *scan, const char *at)
{
	int base = at[0] == '0' && (at[1] | 0x20) == 'x' ? 16 : 10;
	char *end;

	errno = 0;
	unsigned long long value = strtoull(at, &end, base);
	unsigned long long max = *end == 'L' ? INT64_MAX : INT_MAX;
	bool is_fraction = *end == '.' || (*end | 0x20) == 'e';
	if (!is_fraction && (errno != 0 || value > max))
		fprintf(complain(scan, at), "the number %.*s is out of range\n",
		    (int)(end - at), at);
	return skip_word(end);
}

static void
check_text(struct scan *scan)
{
	const char *at = scan->text;

	while (*at != '\0')
		if (*at == '"')
			at = skip_string(at);
		else if (*at == '#' || strncmp(at, "//", 2) == 0)
			at += strcspn(at, "\n");
		else if (strncmp(at, "/*", 2) == 0)
			at = skip_comment(at);
		else if (isdigit((unsigned char)*at))
			at = check_number(scan, at);
		else if (isalpha((unsigned char)*at) || *at == '*' ||
			 *at == '.')
			at = skip_word(at);
		else if (strncmp(at++, "@include", 8) == 0)
			fprintf(complain(scan, at),
			    "@include is not supported: put the settings into "
			    "this file\n");
}

/* All of a regular file.  NULL with errno, which is 0 for any other file. */
static char *
read_regular(int fd, size_t *len)
{
	struct stat status;
	ssize_t n;

	if (fd == -1 || fstat(fd, &status) == -1)
		return NULL;
	errno = 0;
	size_t size = (size_t)status.st_size;
	char *text = S_ISREG(status.st_mode) ? calloc(1, size + 1) : NULL;
	if (text == NULL)
		return NULL;
	for (*len = 0; (n = read(fd, text + *len, size - *len)) > 0;)
		*len += (size_t)n;
	if (n == 0)
		return text;
	free(text);
	return NULL;
}

char *
config_file_read(const char *path, FILE *errors)
{
	/* O_NONBLOCK: a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t len;
	char *text = read_regular(fd, &len);
	struct scan scan = { path, text, errors, 0 };

	if (text == NULL)
		fprintf(errors, "cannot read %s: %s\n", path,
		    errno != 0 ? strerror(errno) : "not a regular file");
	if (fd != -1)
		close(fd);
	if (text == NULL)
		return NULL;
	check_text(&scan);
	if (strlen(text) < len)
		fprintf(complain(&scan, strchr(text, '\0')),
		    "a NUL byte: this is not a text file\n");
	if (scan.error_count == 0)
		return text;
	free(text);
	return NULL;
}
