#include "config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_LIMIT 1048576 /* bytes; larger files take long to parse */

#define CANNOT_READ(faults, format, ...)                                       \
	faults_add(faults, FAULTS_NOWHERE, FAULTS_NOWHERE,                     \
	    "cannot read %s: " format, (faults)->path, __VA_ARGS__)

/* The size of a file that can be read; -1 after a fault. */
static off_t
find_size(int fd, struct faults *faults)
{
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1)
		CANNOT_READ(faults, "%s", strerror(errno));
	else if (!S_ISREG(status.st_mode))
		CANNOT_READ(faults, "%s", "not a regular file");
	else if (status.st_size > SIZE_LIMIT)
		CANNOT_READ(faults,
		    "it has %lld bytes, and at most %d are allowed",
		    (long long)status.st_size, SIZE_LIMIT);
	else
		return status.st_size;
	return -1;
}

/* The text of a file of size bytes; NULL after a fault. */
static char *
read_all(int fd, size_t size, struct faults *faults)
{
	/* One byte more, to see whether the file has more meanwhile. */
	char *text = calloc(1, size + 2);
	size_t len = 0;
	ssize_t n = -1;

	while (text != NULL && (n = read(fd, text + len, size + 1 - len)) > 0)
		len += (size_t)n;
	if (n == 0 && len == size)
		return text;
	CANNOT_READ(faults, "%s",
	    n == -1 ? strerror(errno) : "its size changes while it is read");
	free(text);
	return NULL;
}

/* By its mark, or every other one of the first bytes, and no other, is 0. */
static bool
is_utf16(const char *text, size_t size)
{
	size_t i = 0, nul = text[0] != '\0';

	while (i < MIN(size, 8) && (text[i] == '\0') == (i % 2 == nul))
		i++;
	return i == 8 || memcmp(text, "\xff\xfe", 2) == 0 ||
	       memcmp(text, "\xfe\xff", 2) == 0;
}

/* Whether it is text in an encoding that has no NUL bytes; adds a fault. */
static bool
is_text(size_t size, struct faults *faults)
{
	size_t len = strlen(faults->text);

	if (is_utf16(faults->text, size))
		CANNOT_READ(faults, "%s", "this is UTF-16: save it as UTF-8");
	else if (len < size)
		faults_add(faults, len, len + 1,
		    "a NUL byte: this is not a text file");
	else
		return true;
	return false;
}

bool
config_file_read(struct faults *faults)
{
	/* O_NONBLOCK: a FIFO would wait for a writer. */
	int fd = open(faults->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	off_t size = find_size(fd, faults);

	if (size != -1)
		faults->text = read_all(fd, (size_t)size, faults);
	if (fd != -1)
		close(fd);
	return faults->text != NULL && is_text((size_t)size, faults);
}
