#include "config/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 64 /* in one configuration, each inclusion counted */
#define DEPTH_MAX 10

struct config_file_line {
	int file;
	size_t number;
};

struct config_file {
	char *text;
	size_t len;
	struct config_file_line *lines;
	size_t line_count, line_room;
	char *files[FILES_MAX];
	int file_count;
};

/* The state of one config_file_read. */
struct reader {
	struct config_file *source;
	FILE *text, *errors;
	int error_count;
	struct {
		FILE *stream;
		struct config_file_line at;
	} open[DEPTH_MAX];
	int depth;
	enum { CODE, STRING, COMMENT } state;
};

static void
complain(struct reader *reader, const char *what)
{
	if (reader->depth > 0) {
		const struct config_file_line *at =
		    &reader->open[reader->depth - 1].at;
		fprintf(reader->errors,
		    "%s:%zu: ", reader->source->files[at->file], at->number);
	}
	fprintf(reader->errors, "%s\n", what);
	reader->error_count++;
}

static void
complain_file(struct reader *reader, const char *path, const char *why)
{
	char what[PATH_MAX + 128];

	snprintf(what, sizeof(what), "cannot read %s: %s", path, why);
	complain(reader, what);
}

/* Does not wait for who may write to a pipe; NULL with the reason in *why. */
static FILE *
open_regular(const char *path, const char **why)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *stream = NULL;
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1)
		*why = strerror(errno);
	else if (!S_ISREG(status.st_mode))
		*why = "not a regular file";
	else if ((stream = fdopen(fd, "r")) == NULL)
		*why = strerror(errno);
	if (stream == NULL && fd != -1)
		close(fd);
	return stream;
}

static void
open_file(struct reader *reader, const char *path)
{
	struct config_file *source = reader->source;
	const char *why;

	if (reader->depth == DEPTH_MAX || source->file_count == FILES_MAX) {
		complain(reader, "too many files include one another");
		return;
	}
	FILE *stream = open_regular(path, &why);
	if (stream == NULL) {
		complain_file(reader, path, why);
		return;
	}
	char *copy = strdup(path);
	if (copy == NULL) {
		complain_file(reader, path, strerror(errno));
		fclose(stream);
		return;
	}
	source->files[source->file_count] = copy;
	reader->open[reader->depth].stream = stream;
	reader->open[reader->depth].at.file = source->file_count++;
	reader->open[reader->depth].at.number = 0;
	reader->depth++;
}

static void
check_number(struct reader *reader, const char *at, char **end)
{
	char what[128];
	int base = at[0] == '0' && (at[1] | 0x20) == 'x' ? 16 : 10;

	errno = 0;
	unsigned long long value = strtoull(at, end, base);
	if (**end == 'L' || **end == '.' || (**end | 0x20) == 'e')
		return;
	if (errno == 0 && value <= INT_MAX)
		return;
	snprintf(what, sizeof(what), "the number %.*s is out of range",
	    (int)(*end - at > 40 ? 40 : *end - at), at);
	complain(reader, what);
}

/* Goes over one line of code for its numbers; keeps track of what is none. */
static void
scan_line(struct reader *reader, const char *at)
{
	bool in_word = false;

	while (*at != '\0') {
		char *next = (char *)at + 1;

		if (reader->state == COMMENT) {
			if (strncmp(at, "*/", 2) == 0) {
				reader->state = CODE;
				next++;
			}
		} else if (reader->state == STRING) {
			if (*at == '\\' && at[1] != '\0')
				next++;
			else if (*at == '"')
				reader->state = CODE;
		} else if (*at == '"') {
			reader->state = STRING;
		} else if (strncmp(at, "/*", 2) == 0) {
			reader->state = COMMENT;
			next++;
		} else if (*at == '#' || strncmp(at, "//", 2) == 0) {
			return;
		} else if (isdigit((unsigned char)*at) && !in_word) {
			check_number(reader, at, &next);
		}
		in_word = isalnum((unsigned char)*at) || *at == '_' ||
		        *at == '-' || *at == '.' || *at == '*';
		if (*at == '-' && isdigit((unsigned char)*next))
			in_word = false;
		at = next;
	}
}

/* The file that an @include line names, to be freed; NULL for another line. */
static char *
included_file(struct reader *reader, const char *line)
{
	const char *at = line + strspn(line, " \t");
	const char *first = reader->source->files[0];
	const char *slash = strrchr(first, '/');
	char *path = NULL;

	if (reader->state != CODE || strncmp(at, "@include", 8) != 0)
		return NULL;
	at += 8;
	at += strspn(at, " \t");
	if (*at++ != '"')
		return NULL;
	size_t len = strcspn(at, "\"\n");
	if (at[len] != '"' || at[len + 1 + strspn(at + len + 1, " \t\r\n")])
		return NULL;
	int folder = slash && *at != '/' ? (int)(slash + 1 - first) : 0;
	if (asprintf(&path, "%.*s%.*s", folder, first, (int)len, at) == -1)
		return NULL;
	return path;
}

/* libconfig would take such a line for an order to read the file itself. */
static bool
is_include(const struct reader *reader, const char *line)
{
	return reader->state == CODE &&
	       strncmp(line + strspn(line, " \t"), "@include", 8) == 0;
}

static int
note_line(struct config_file *source, const struct config_file_line *at)
{
	if (source->line_count == source->line_room) {
		size_t room = 2 * source->line_room + 64;
		struct config_file_line *lines = reallocarray(source->lines,
		    room, sizeof(*lines));
		if (lines == NULL)
			return -1;
		source->lines = lines;
		source->line_room = room;
	}
	source->lines[source->line_count++] = *at;
	return 0;
}

static void
take_line(struct reader *reader, const char *line, size_t len)
{
	char *path = included_file(reader, line);

	if (path != NULL) {
		open_file(reader, path);
		free(path);
		return;
	}
	if (is_include(reader, line)) {
		complain(reader, "wants @include \"FILE\" alone on the line");
		return;
	}
	if (strlen(line) != len) {
		complain(reader, "a NUL byte: this is no text file");
		return;
	}
	scan_line(reader, line);
	if (note_line(reader->source, &reader->open[reader->depth - 1].at) ==
	    -1)
		complain(reader, strerror(errno));
	fputs(line, reader->text);
	if (line[len - 1] != '\n')
		fputc('\n', reader->text);
}

static void
read_all(struct reader *reader)
{
	char *line = NULL;
	size_t room = 0;

	while (reader->depth > 0) {
		FILE *stream = reader->open[reader->depth - 1].stream;
		ssize_t len = getline(&line, &room, stream);

		if (len > 0) {
			reader->open[reader->depth - 1].at.number++;
			take_line(reader, line, (size_t)len);
			continue;
		}
		/* Without memory for the line no error is set: as good as one. */
		if (!feof(stream))
			complain(reader, strerror(errno));
		fclose(stream);
		reader->depth--;
	}
	free(line);
}

struct config_file *
config_file_read(const char *path, FILE *errors)
{
	struct config_file *source = calloc(1, sizeof(*source));
	struct reader reader = { .source = source, .errors = errors };

	if (source != NULL)
		reader.text = open_memstream(&source->text, &source->len);
	if (reader.text == NULL) {
		fprintf(errors, "cannot read %s: %s\n", path, strerror(errno));
		free(source);
		return NULL;
	}
	open_file(&reader, path);
	read_all(&reader);
	/* A stream in memory may end well and leave no text all the same. */
	if (fclose(reader.text) == EOF || source->text == NULL)
		complain_file(&reader, path, strerror(errno));
	if (reader.error_count > 0) {
		config_file_free(source);
		return NULL;
	}
	return source;
}

void
config_file_free(struct config_file *source)
{
	if (source == NULL)
		return;
	for (int i = 0; i < source->file_count; i++)
		free(source->files[i]);
	free(source->lines);
	free(source->text);
	free(source);
}

const char *
config_file_text(const struct config_file *source)
{
	return source->text;
}

/* A parser may complain of the line after the last. */
static struct config_file_line
locate(const struct config_file *source, size_t line)
{
	if (source->line_count == 0)
		return (struct config_file_line){ 0, 1 };
	if (line > source->line_count)
		line = source->line_count;
	return source->lines[line > 0 ? line - 1 : 0];
}

const char *
config_file_file(const struct config_file *source, size_t line)
{
	return source->files[locate(source, line).file];
}

size_t
config_file_line(const struct config_file *source, size_t line)
{
	return locate(source, line).number;
}
