#include "config/access_reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 1000000      /* of one group */
#define FILE_SIZE_MAX (64 << 20) /* bytes */
#define FAULTS_SHOWN 20          /* of one group */

/* The state of one access_read. */
struct reader {
	struct setting_file *file;
	struct prefix_entry *entries;
	size_t count, room;
	int faults;
};

/* Where an entry stands; element: in the configuration itself, if known. */
struct place {
	const char *file;
	unsigned line; /* 0: file is an option of the command line */
	const struct setting *element;
};

/* Adds a fault of an entry, unless there were many. */
static void
complain(struct reader *reader, struct place place, const char *text,
    const char *why)
{
	struct faults *faults = reader->file->faults;
	bool is_ours = place.file == reader->file->path;

	if (++reader->faults > FAULTS_SHOWN) {
		reader->file->error_count++;
		return;
	}
	if (place.element != NULL) {
		setting_complain(place.element, "\"%.64s\" %s", text, why);
	} else if (place.line == 0) {
		setting_refuse(reader->file, place.file, "\"%.64s\" %s", text,
		    why);
	} else {
		size_t at = is_ours ? faults_line_start(faults, place.line)
		                    : FAULTS_NOWHERE;
		reader->file->error_count++;
		if (is_ours)
			faults_add(faults, at, at, "\"%.64s\" %s", text, why);
		else
			faults_add(faults, at, at, "%s:%u: \"%.64s\" %s",
			    place.file, place.line, text, why);
	}
	if (reader->faults == FAULTS_SHOWN)
		faults_add(faults, FAULTS_NOWHERE, FAULTS_NOWHERE,
		    "%s:%u: further faults of these lists are not shown",
		    place.file, place.line);
}

/* The next entry, for which there is room; NULL: there is none. */
static struct prefix_entry *
grow(struct reader *reader)
{
	struct prefix_entry *entries = reader->entries;
	size_t room = reader->room;

	if (reader->count == room) {
		room = room == 0 ? 64 : 2 * room;
		entries = reallocarray(entries, room, sizeof(*entries));
		if (entries == NULL)
			return NULL;
		reader->entries = entries;
		reader->room = room;
	}
	return &entries[reader->count];
}

static void
add(struct reader *reader, const char *text, bool is_allowed,
    struct place place)
{
	struct prefix_entry *entry = grow(reader);
	char why[PREFIX_WHY_MAX] = "is one too many: 1000000 are allowed";

	if (entry == NULL)
		strcpy(why, "cannot be kept: out of memory");
	else if (reader->count < ENTRIES_MAX &&
		 prefix_parse(text, &entry->prefix, why) == 0) {
		entry->value = is_allowed;
		entry->file = place.file;
		entry->line = place.line;
		reader->count++;
		return;
	}
	complain(reader, place, text, why);
}

static void
read_array(struct reader *reader, const struct setting *array, bool is_allowed)
{
	int type = config_setting_type(array->node);

	if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
		setting_complain(array,
		    "needs networks: [ \"192.0.2.0/24\", \"2001:db8::1\" ]");
		return;
	}
	for (int i = 0; i < config_setting_length(array->node); i++) {
		struct setting element = setting_member(array, i);
		const char *text = config_setting_get_string(element.node);
		const char *option = setting_option(array);
		struct place place = { option ? option : array->file->path,
			config_setting_source_line(element.node), &element };
		if (text != NULL)
			add(reader, text, is_allowed, place);
		else
			setting_complain(&element, "needs text in \"quotes\"");
	}
}

/* NULL with errno. */
static FILE *
open_file(const char *path)
{
	/* O_NONBLOCK: a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	FILE *file = NULL;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &status) == 0) {
		errno = S_ISREG(status.st_mode) ? EFBIG : EINVAL;
		if (S_ISREG(status.st_mode) && status.st_size <= FILE_SIZE_MAX)
			file = fdopen(fd, "r");
	}
	if (file == NULL) {
		int saved_errno = errno;
		close(fd);
		errno = saved_errno;
	}
	return file;
}

/* An entry without the spaces around it and the comment behind it. */
static char *
trim(char *line)
{
	static const char spaces[] = " \t\r\n";

	line[strcspn(line, "#")] = '\0';
	line += strspn(line, spaces);
	size_t len = strlen(line);
	while (len > 0 && strchr(spaces, line[len - 1]) != NULL)
		len--;
	line[len] = '\0';
	return line;
}

/* 0, or an errno. */
static int
read_lines(struct reader *reader, FILE *file, const char *path, bool is_allowed)
{
	struct place place = { path, 0, NULL };
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) != -1) {
		place.line++;
		bool has_nul = strlen(line) < (size_t)len;
		const char *text = trim(line);
		if (has_nul)
			complain(reader, place, text, "has a NUL byte");
		else if (*text != '\0')
			add(reader, text, is_allowed, place);
	}
	int problem = feof(file) ? 0 : errno;
	free(line);
	return problem;
}

static const char *
describe(int problem)
{
	if (problem == EINVAL)
		return "not a regular file";
	return problem == EFBIG ? "at most 64 MiB are allowed"
	                        : strerror(problem);
}

static void
read_file(struct reader *reader, const struct setting *setting, bool is_allowed)
{
	const char *path = config_setting_get_string(setting->node);
	size_t before = reader->count;
	int faults_before = reader->faults;

	if (path == NULL || (*path != '/' && *path != '\0')) {
		setting_complain(setting, "needs an absolute path, or \"\"");
		return;
	}
	if (*path == '\0')
		return;
	FILE *file = open_file(path);
	int problem = file == NULL ? errno : 0;
	if (file != NULL) {
		problem = read_lines(reader, file, path, is_allowed);
		fclose(file);
	}
	if (problem != 0)
		setting_complain(setting, "cannot read %s: %s", path,
		    describe(problem));
	/* A script that fails must not let everyone in. */
	else if (is_allowed && reader->count == before &&
		 reader->faults == faults_before)
		setting_complain(setting,
		    "%s has no network; to allow everyone use \"\"", path);
}

static void
find_twins(struct reader *reader)
{
	const struct prefix_entry *entries = reader->entries;
	char text[PREFIX_TEXT_MAX], why[512];

	for (size_t i = 1; i < reader->count; i++) {
		const struct prefix_entry *one = &entries[i - 1];
		const struct prefix_entry *two = &entries[i];
		if (!prefix_equal(&one->prefix, &two->prefix))
			continue;
		if (one->line == 0)
			snprintf(why, sizeof(why), "is %s by %s already",
			    one->value ? "allowed" : "denied", one->file);
		else
			snprintf(why, sizeof(why), "is %s at %s:%u already",
			    one->value ? "allowed" : "denied", one->file,
			    one->line);
		complain(reader, (struct place){ two->file, two->line, NULL },
		    prefix_text(&two->prefix, text), why);
	}
}

static void
read_lists(struct reader *reader, const struct setting *group)
{
	static const struct {
		const char *name;
		void (*read)(struct reader *, const struct setting *, bool);
		bool is_allowed;
	} lists[] = {
		{ "allow", read_array, true },
		{ "deny", read_array, false },
		{ "allow_file", read_file, true },
		{ "deny_file", read_file, false },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct setting list = { group->file,
			config_setting_get_member(group->node, lists[i].name) };
		if (list.node != NULL)
			lists[i].read(reader, &list, lists[i].is_allowed);
	}
}

void
access_leave(const struct setting *setting, void *base)
{
	(void)setting;
	(void)base;
}

struct access *
access_read(const struct setting *group, struct access *common)
{
	struct reader reader = { .file = group->file };
	int errors_before = group->file->error_count;
	struct access *access = NULL;

	read_lists(&reader, group);
	if (reader.count > 0) {
		prefix_table_sort(reader.entries, reader.count);
		find_twins(&reader);
	}
	if (group->file->error_count == errors_before && reader.count > 0) {
		access = access_new(reader.entries, reader.count, common);
		if (access == NULL)
			setting_complain(group, "out of memory");
	}
	free(reader.entries);
	return access;
}
