#include "datagram/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define OVERFLOW_DEFAULT 65534
#define LINE_MAX_LEN 64 /* three numbers */

/* Hidden by ProcSubset=pid; then the map alone has to do. */
static int
read_overflow(uid_t *user)
{
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	char line[LINE_MAX_LEN];
	int rc = -1;

	*user = OVERFLOW_DEFAULT;
	if (file == NULL)
		return errno == ENOENT || errno == EACCES ? 0 : -1;
	if (fgets(line, sizeof(line), file) != NULL) {
		*user = (uid_t)strtoul(line, NULL, 10);
		rc = 0;
	}
	fclose(file);
	return rc;
}

int
users_read(struct users *users)
{
	char line[LINE_MAX_LEN], *at;
	size_t i = 0;

	users->range_count = 0;
	if (read_overflow(&users->overflow) == -1)
		return -1;
	FILE *file = fopen("/proc/self/uid_map", "re");
	if (file == NULL)
		return -1;
	/* The first here, the first outside, how many. */
	for (; i < USERS_RANGES_MAX && fgets(line, sizeof(line), file); i++) {
		users->ranges[i].first = (uint32_t)strtoul(line, &at, 10);
		strtoul(at, &at, 10);
		users->ranges[i].count = (uint32_t)strtoul(at, NULL, 10);
	}
	fclose(file);
	users->range_count = i;
	return i > 0 ? 0 : -1;
}

bool
users_is_known(const struct users *users, uid_t user)
{
	if (user == users->overflow)
		return false;
	for (size_t i = 0; i < users->range_count; i++)
		if (user - users->ranges[i].first < users->ranges[i].count)
			return true;
	return false;
}

bool
users_are_few(const struct users *users)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < users->range_count; i++)
		sum += users->ranges[i].count;
	return sum <= 2;
}
