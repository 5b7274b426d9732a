#ifndef DATAGRAM_MOUNTS_H
#define DATAGRAM_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Which mounts of this process are of a local file system.  With any other,
 * such as FUSE or NFS, a system call may wait for a process or a host.
 * Owned by one thread.  All zero: not open.
 */
#define MOUNTS_KNOWN 8

struct mounts {
	FILE *file;     /* NULL: not open yet */
	unsigned count; /* how many were looked up since a change */
	struct {
		uint64_t id;
		bool is_local;
	} known[MOUNTS_KNOWN];
};

/* If it fails, the next question tries again. */
void mounts_open(struct mounts *mounts);
void mounts_close(struct mounts *mounts);

/* Whether the mount id (statx(2)), of which a file is held open, is local. */
bool mounts_is_local(struct mounts *mounts, uint64_t id);

#endif
