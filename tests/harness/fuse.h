#ifndef FUSE_H
#define FUSE_H

#include <stdbool.h>

/*
 * A FUSE file system that can fall silent, in a mount namespace of this test
 * process and its later children.  One folder, in which one node can be made.
 * It ends with the process.
 */
struct fuse_times {
	/* Whether the kernel need not ask for them again. */
	bool folder_is_valid, name_is_valid, node_is_valid;
	bool checks_permissions; /* the kernel does: default_permissions */
};

/* Mounts it at path, an existing folder; false: not permitted here. */
bool fuse_mount(const char *path, const struct fuse_times *times);

/* It answers no further request. */
void fuse_silence(void);

/* Ends it: requests fail, and path is the folder again. */
void fuse_unmount(const char *path);

#endif
