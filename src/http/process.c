#include "http/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES "/proc/self/fd"

static void
read_memory(struct process *process)
{
	FILE *file = fopen("/proc/self/statm", "re");
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char line[128], *end;

	if (file == NULL)
		return;
	if (fgets(line, sizeof(line), file) != NULL) {
		process->virtual_bytes = strtoull(line, &end, 10) * page;
		process->resident_bytes = strtoull(end, NULL, 10) * page;
	}
	fclose(file);
}

/* Linux 6.2 and later count at once; a million names take a second. */
static uint64_t
count_files(void)
{
	struct stat status;
	uint64_t count = 0;
	struct dirent *entry;

	if (stat(FILES, &status) == 0 && status.st_size > 0)
		return (uint64_t)status.st_size;
	DIR *folder = opendir(FILES);
	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count > 0 ? count - 1 : 0; /* that of the folder */
}

void
process_look(struct process *process)
{
	struct timespec used = { 0 };
	struct rlimit limit = { 0 };

	*process = (struct process){ 0 };
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	process->cpu_ns = (uint64_t)used.tv_sec * 1000000000 +
	                  (uint64_t)used.tv_nsec;
	read_memory(process);
	process->open_files = count_files();
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		process->max_files = limit.rlim_cur;
}
