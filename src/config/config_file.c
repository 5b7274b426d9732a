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

#include "base/message.h"

#define SIZE_LIMIT 1048576 /* bytes; larger files take long to parse */

/* The state of one config_file_read. */
struct scan {
	const char *path;
	FILE *errors;
	int error_count;
	size_t line;         /* the number of the line of: */
	const char *counted; /* the text of the last error */
};

/*
 * Begins a line of errors about the text at "at", which is not before that of
 * the last error; the caller ends it.
 */
static FILE *
complain(struct scan *scan, const char *at)
{
	for (; scan->counted < at; scan->counted++)
		scan->line += *scan->counted == '\n';
	message_print(scan->errors, "%s:%zu: ", scan->path, scan->line);
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
check_text(struct scan *scan, const char *at)
{
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

/* The size of a file that can be read; -1 after a line in errors. */
static off_t
find_size(int fd, const char *path, FILE *errors)
{
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1)
		message_print(errors, "cannot read %s: %s\n", path,
		    strerror(errno));
	else if (!S_ISREG(status.st_mode))
		message_print(errors, "cannot read %s: not a regular file\n",
		    path);
	else if (status.st_size > SIZE_LIMIT)
		message_print(errors,
		    "cannot read %s: it has %lld bytes, and at most %d are "
		    "allowed\n",
		    path, (long long)status.st_size, SIZE_LIMIT);
	else
		return status.st_size;
	return -1;
}

/* The text of a file of size bytes; NULL after a line in errors. */
static char *
read_all(int fd, size_t size, const char *path, FILE *errors)
{
	/* One byte more, to see whether the file has more meanwhile. */
	char *text = calloc(1, size + 2);
	size_t len = 0;
	ssize_t n = -1;

	while (text != NULL && (n = read(fd, text + len, size + 1 - len)) > 0)
		len += (size_t)n;
	if (n == 0 && len == size)
		return text;
	message_print(errors, "cannot read %s: %s\n", path,
	    n == -1 ? strerror(errno) : "its size changes while it is read");
	free(text);
	return NULL;
}

char *
config_file_read(const char *path, FILE *errors)
{
	/* O_NONBLOCK: a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	off_t size = find_size(fd, path, errors);
	char *text = NULL;

	if (size != -1)
		text = read_all(fd, (size_t)size, path, errors);
	if (fd != -1)
		close(fd);
	if (text == NULL)
		return NULL;
	struct scan scan = { path, errors, 0, 1, text };
	check_text(&scan, text);
	if (strlen(text) < (size_t)size)
		fprintf(complain(&scan, strchr(text, '\0')),
		    "a NUL byte: this is not a text file\n");
	if (scan.error_count == 0)
		return text;
	free(text);
	return NULL;
}
