#include "datagram/mounts.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static const char *const local_types[] = { "bcachefs", "btrfs", "devtmpfs",
	"ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "overlay", "ramfs",
	"reiserfs", "rootfs", "tmpfs", "xfs", "zfs" };

void
mounts_open(struct mounts *mounts)
{
	mounts->file = fopen("/proc/self/mountinfo", "re");
	mounts->count = 0;
}

void
mounts_close(struct mounts *mounts)
{
	if (mounts->file != NULL)
		fclose(mounts->file);
}

/* line: "ID ... - TYPE ..."; see proc(5). */
static bool
has_local_type(const char *line)
{
	const char *type = strstr(line, " - ");

	if (type == NULL)
		return false;
	type += strlen(" - ");
	size_t len = strcspn(type, " ");
	for (size_t i = 0; i < sizeof(local_types) / sizeof(*local_types); i++)
		if (strlen(local_types[i]) == len &&
		    memcmp(local_types[i], type, len) == 0)
			return true;
	return false;
}

/* -1: it can't be read now. */
static int
look_up(struct mounts *mounts, uint64_t id, bool *is_local)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	rewind(mounts->file);
	*is_local = false;
	while (!found && getline(&line, &size, mounts->file) > 0)
		if (strtoull(line, NULL, 10) == id) {
			found = true;
			*is_local = has_local_type(line);
		}
	free(line);
	return found ? 0 : -1;
}

bool
mounts_is_local(struct mounts *mounts, uint64_t id)
{
	bool is_local;

	if (mounts->file == NULL)
		mounts_open(mounts);
	if (mounts->file == NULL)
		return false;
	/* Another mount may have the number of one that has gone. */
	struct pollfd change = { fileno(mounts->file), POLLPRI, 0 };
	if (poll(&change, 1, 0) != 0)
		mounts->count = 0;
	for (unsigned i = 0; i < mounts->count && i < MOUNTS_KNOWN; i++)
		if (mounts->known[i].id == id)
			return mounts->known[i].is_local;
	if (look_up(mounts, id, &is_local) == -1)
		return false;
	unsigned at = mounts->count++ % MOUNTS_KNOWN;
	mounts->known[at].id = id;
	mounts->known[at].is_local = is_local;
	return is_local;
}
