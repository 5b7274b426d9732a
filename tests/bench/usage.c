#include "usage.h"

#include <dirent.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAMILY_MAX 65536

/* A process and its descendants, parents first. */
struct family {
	size_t count;
	pid_t pids[FAMILY_MAX];
};

static void
add_children(struct family *family, const char *path)
{
	FILE *file = fopen(path, "re");
	int pid;

	/* The process may have ended meanwhile. */
	if (file == NULL)
		return;
	while (family->count < FAMILY_MAX && fscanf(file, "%d", &pid) == 1)
		family->pids[family->count++] = pid;
	fclose(file);
}

static void
add_children_of(struct family *family, pid_t pid)
{
	char path[64];
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL)
		return;
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.16s/children",
		    pid, entry->d_name);
		add_children(family, path);
	}
	closedir(tasks);
}

static const struct family *
family_of(pid_t pid)
{
	static struct family family;

	family.pids[0] = pid;
	family.count = 1;
	for (size_t i = 0; i < family.count; i++)
		add_children_of(&family, family.pids[i]);
	return &family;
}

/*
 * Reads the CPU clock of the process: in nanoseconds, including threads that
 * have ended and running time slices.
 */
static uint64_t
own_cpu_ns(pid_t pid)
{
	clockid_t clock;
	struct timespec used;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &used) == -1)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec;
}

/* CPU time of children that have ended and been waited for. */
static uint64_t
ended_cpu_ns(pid_t pid)
{
	char path[64], line[1024];
	unsigned long user = 0, system = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	/* The second field is a name in brackets; it may contain any character. */
	const char *rest = NULL;
	if (fgets(line, sizeof(line), file) != NULL)
		rest = strrchr(line, ')');
	if (rest != NULL)
		sscanf(rest,
		    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
		    "%*u %*u %lu %lu",
		    &user, &system);
	fclose(file);
	return (user + system) * (1000000000U / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t
usage_cpu_ns(pid_t pid)
{
	const struct family *family = family_of(pid);
	uint64_t sum = 0;

	for (size_t i = 0; i < family->count; i++)
		sum += own_cpu_ns(family->pids[i]) +
		       ended_cpu_ns(family->pids[i]);
	return sum;
}

static uint64_t
own_private_bytes(pid_t pid)
{
	char path[64], line[256];
	unsigned long kib;
	uint64_t sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Private_Dirty: %lu", &kib) == 1)
			sum += kib * 1024;
	fclose(file);
	return sum;
}

uint64_t
usage_private_bytes(pid_t pid)
{
	const struct family *family = family_of(pid);
	uint64_t sum = 0;

	for (size_t i = 0; i < family->count; i++)
		sum += own_private_bytes(family->pids[i]);
	if (sum == 0)
		errx(1, "process %d has no memory to see", pid);
	return sum;
}

uint64_t
usage_tcp_bytes(void)
{
	FILE *file = fopen("/proc/net/sockstat", "re");
	unsigned long pages = 0;
	char line[256];

	if (file == NULL)
		err(1, "/proc/net/sockstat");
	while (fgets(line, sizeof(line), file) != NULL)
		sscanf(line,
		    "TCP: inuse %*d orphan %*d tw %*d alloc %*d "
		    "mem %lu",
		    &pages);
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
