#include "pipe/window.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* The bytes of the head in the file: a multiple of every page size. */
#define HEAD_SIZE 65536

static const char MAGIC[16] = "timestampc spool";

struct window_head {
	char magic[sizeof(MAGIC)];
	uint64_t size, begin, end;
	uint64_t dirty;    /* bytes from here to begin may not be zero yet */
	uint64_t saved_ms; /* since 1970, */
	uint64_t clock_ms; /* and the same moment by the clock of times */
	uint64_t input_device, input_inode; /* 0, 0: not a pipe or socket */
	struct account_times times;
	uint64_t cut_device, cut_inode; /* 0, 0: the output ends in a line */
};

/* A kill finds the stores before it done, and none behind it. */
#define IN_ORDER() atomic_signal_fence(memory_order_seq_cst)

/* Maps the ring twice into a range that is reserved for it. */
static char *
map_ring(int fd, off_t offset, size_t size)
{
	int protection = PROT_READ | PROT_WRITE;
	int flags = MAP_SHARED | MAP_FIXED;
	char *bytes = mmap(NULL, 2 * size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (bytes == MAP_FAILED)
		return NULL;
	if (mmap(bytes, size, protection, flags, fd, offset) != MAP_FAILED &&
	    mmap(bytes + size, size, protection, flags, fd, offset) !=
		MAP_FAILED)
		return bytes;
	munmap(bytes, 2 * size);
	return NULL;
}

static void
unmap(struct window *window)
{
	if (window->bytes != NULL)
		munmap(window->bytes, 2 * window->size);
	if (window->head != NULL)
		munmap(window->head, HEAD_SIZE);
	if (window->fd != -1)
		close(window->fd);
	window->bytes = NULL;
	window->head = NULL;
	window->fd = -1;
}

/* Frees a window and the file at path, if any.  -1; errno stays. */
static int
drop(struct window *window, const char *path)
{
	int problem = errno;

	/* While it is locked. */
	if (path[0] != '\0')
		unlink(path);
	unmap(window);
	errno = problem;
	return -1;
}

/* Gives fd its size and maps it.  fd is the window's from now on. */
static int
set_up(struct window *window, int fd, size_t size)
{
	size_t head_size = window->path == NULL ? 0 : HEAD_SIZE;
	int problem = 0;

	window->fd = fd;
	window->size = size;
	if (window->wanted == 0)
		window->wanted = size;
	/* A write to a mapping that finds no space kills the process. */
	if (head_size > 0)
		problem = posix_fallocate(fd, 0, (off_t)(head_size + size));
	else if (ftruncate(fd, (off_t)size) == -1)
		problem = errno;
	if (problem == 0) {
		window->bytes = map_ring(fd, (off_t)head_size, size);
		problem = window->bytes == NULL ? errno : 0;
	}
	if (problem == 0 && head_size > 0) {
		void *head = mmap(NULL, HEAD_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
		if (head == MAP_FAILED)
			problem = errno;
		else
			window->head = head;
	}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

/* Whether head is of a spool, in a file of so many bytes. */
static bool
is_valid(const struct window_head *head, off_t file_size)
{
	return memcmp(head->magic, MAGIC, sizeof(MAGIC)) == 0 &&
	       head->size >= HEAD_SIZE && head->size % HEAD_SIZE == 0 &&
	       (uint64_t)file_size >= HEAD_SIZE + head->size &&
	       head->begin <= head->end &&
	       head->end - head->begin <= head->size &&
	       head->dirty <= head->begin &&
	       head->end - head->dirty <= head->size;
}

/* Fills the head of a new file. */
static void
write_head(const struct window *window)
{
	struct window_head *head = window->head;

	if (head == NULL)
		return;
	head->size = window->size;
	head->begin = head->dirty = window->begin;
	head->end = window->end;
	memcpy(head->magic, MAGIC, sizeof(MAGIC));
}

/* Makes free bytes in front of begin zero. */
static void
clear(struct window *window)
{
	struct window_head *head = window->head;

	memset(window_at(window, head->dirty), 0,
	    (size_t)(head->begin - head->dirty));
	IN_ORDER();
	head->dirty = head->begin;
}

static size_t
free_bytes_of(const struct window *window)
{
	return window->size - (size_t)(window->end - window->begin);
}

/* Takes over what a killed process had read and not counted. */
static void
take_over(struct window *window)
{
	window->begin = window->head->begin;
	window->end = window->head->end;
	clear(window);
	const char *bytes = window_at(window, window->end);
	size_t len = free_bytes_of(window);
	while (len > 0 && bytes[len - 1] == '\0')
		len--;
	window->end += len;
	window->head->end = window->end;
}

/* The size of the spool that fd is; 0: it is empty; SIZE_MAX: not a spool. */
static size_t
spool_size(int fd, struct window_head *head)
{
	struct stat status;

	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode))
		return SIZE_MAX;
	if (status.st_size == 0)
		return 0;
	if (pread(fd, head, sizeof(*head), 0) != sizeof(*head))
		return SIZE_MAX;
	/* Its process ended before there was a head. */
	if (memcmp(head, &(struct window_head){ 0 }, sizeof(*head)) == 0)
		return 0;
	if (!is_valid(head, status.st_size))
		return SIZE_MAX;
	return head->size;
}

/* Whether fd is still the file at path, which another process may replace. */
static bool
is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Opens the file and locks it.  -1 with errno. */
static int
open_locked(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd == -1)
			return -1;
		if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
			close(fd);
			errno = EWOULDBLOCK;
			return -1;
		}
		if (is_at(fd, path))
			return fd;
		close(fd);
	}
}

static int
open_spool(struct window *window, size_t size)
{
	struct window_head head = { 0 };
	int fd = open_locked(window->path);

	if (fd == -1)
		return -1;
	size_t found = spool_size(fd, &head);
	if (found == SIZE_MAX) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	window->wanted = size;
	if (set_up(window, fd, found == 0 ? size : found) == -1)
		return drop(window, found == 0 ? window->path : "");
	if (found == 0)
		write_head(window);
	else
		take_over(window);
	while (window->size < size)
		if (window_grow(window) == -1)
			return drop(window, "");
	return 0;
}

int
window_open(struct window *window, size_t size, const char *path)
{
	*window = (struct window){ .fd = -1, .path = path };
	size = (size + HEAD_SIZE - 1) / HEAD_SIZE * HEAD_SIZE;
	if (path != NULL) {
		if (open_spool(window, size) == 0)
			return 0;
		/* The file is not ours: it stays. */
		window->path = NULL;
		return -1;
	}
	int fd = memfd_create("timestampc", MFD_CLOEXEC);
	if (fd == -1)
		return -1;
	return set_up(window, fd, size) == 0 ? 0 : drop(window, "");
}

void
window_close(struct window *window)
{
	if (window->path != NULL && window->begin == window->end)
		unlink(window->path);
	unmap(window);
}

static bool
ends_in_a_line(const struct window *window)
{
	return window->begin == window->end ||
	       window_at(window, window->end - 1)[0] == '\n';
}

int
window_set_input(struct window *window, int fd)
{
	struct window_head *head = window->head;
	struct stat input;

	if (head == NULL)
		return 0;
	if (fstat(fd, &input) == -1 ||
	    !(S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode)))
		input.st_dev = input.st_ino = 0;
	if (!ends_in_a_line(window) &&
	    (input.st_ino == 0 || input.st_dev != head->input_device ||
		input.st_ino != head->input_inode)) {
		if (free_bytes_of(window) == 0 && window_grow(window) == -1)
			return -1;
		*window_at(window, window->end) = '\n';
		window->head->end = ++window->end;
	}
	window->head->input_device = input.st_dev;
	window->head->input_inode = input.st_ino;
	return 0;
}

static uint64_t
since_1970_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void
window_save_times(struct window *window, const struct account_times *times)
{
	struct window_head *head = window->head;

	if (head == NULL)
		return;
	head->saved_ms = since_1970_ms();
	head->clock_ms = clock_ms();
	memcpy(head->times.reads, times->reads,
	    times->count * sizeof(times->reads[0]));
	head->times.count = times->count;
	head->times.spacing_ms = times->spacing_ms;
}

void
window_load_times(const struct window *window, struct account_times *times)
{
	const struct window_head *head = window->head;

	if (head == NULL || head->times.count == 0 ||
	    head->times.count > ACCOUNT_READS)
		return;
	/* This process may have another clock: the system was started again. */
	uint64_t age_ms = since_1970_ms() - head->saved_ms;
	uint64_t ahead_ms = clock_ms() - age_ms - head->clock_ms;
	*times = head->times;
	for (size_t i = 0; i < times->count; i++)
		times->reads[i].ms += ahead_ms;
}

char *
window_at(const struct window *window, uint64_t position)
{
	return window->bytes + position % window->size;
}

size_t
window_room(const struct window *window, bool is_part)
{
	size_t held = (size_t)(window->end - window->begin);

	if (held < window->wanted)
		return window->wanted - held;
	return is_part ? window->size - held : 0;
}

size_t
window_lines(const struct window *window)
{
	const char *bytes = window_at(window, window->begin);
	size_t lines = !ends_in_a_line(window);

	for (uint64_t n = window->end - window->begin; n > 0; n--)
		lines += bytes[n - 1] == '\n';
	return lines;
}

void
window_add(struct window *window, size_t bytes)
{
	window->end += bytes;
	if (window->head != NULL)
		window->head->end = window->end;
}

/* A new file beside the spool; path gets its path. */
static int
open_successor(const struct window *window, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s.XXXXXX", window->path);

	if (len >= PATH_MAX) {
		path[0] = '\0';
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd != -1)
		flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

/* Moves the window into memory of another size.  -1 with errno. */
static int
resize(struct window *window, size_t size)
{
	struct window other = { .fd = -1,
		.path = window->path,
		.wanted = window->wanted,
		.begin = window->begin,
		.end = window->end };
	char path[PATH_MAX] = "";
	int fd = window->path == NULL ? memfd_create("timestampc", MFD_CLOEXEC)
	                              : open_successor(window, path);

	if (fd == -1)
		return -1;
	if (set_up(&other, fd, size) == -1)
		return drop(&other, path);
	memcpy(window_at(&other, other.begin), window_at(window, window->begin),
	    (size_t)(window->end - window->begin));
	if (window->head != NULL && other.head != NULL)
		*other.head = *window->head;
	write_head(&other);
	if (path[0] != '\0' && rename(path, window->path) == -1)
		return drop(&other, path);
	unmap(window);
	*window = other;
	return 0;
}

int
window_grow(struct window *window)
{
	return resize(window, 2 * window->size);
}

void
window_release(struct window *window, uint64_t position)
{
	window->begin = position;
	if (window->head != NULL) {
		window->head->begin = position;
		window->head->cut_device = window->head->cut_inode = 0;
		IN_ORDER();
		clear(window);
	}
	if (window->size > window->wanted &&
	    window->end - position <= window->wanted &&
	    resize(window, window->wanted) == -1)
		window->wanted = window->size; /* not again and again */
}

void
window_note_cut(struct window *window, int output)
{
	struct stat status;

	if (window->head == NULL || fstat(output, &status) == -1)
		return;
	window->head->cut_device = status.st_dev;
	window->head->cut_inode = status.st_ino;
}

bool
window_is_cut(const struct window *window, int output)
{
	const struct window_head *head = window->head;
	struct stat status;

	return head != NULL && head->cut_inode != 0 &&
	       fstat(output, &status) == 0 &&
	       status.st_dev == head->cut_device &&
	       status.st_ino == head->cut_inode;
}
