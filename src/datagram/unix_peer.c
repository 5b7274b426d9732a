#include "datagram/unix_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void
unix_peer_init(struct unix_peer *peer)
{
	peer->count = 0;
	peer->users.range_count = 0; /* read with the first client */
	mounts_open(&peer->mounts);
}

void
unix_peer_end(struct unix_peer *peer)
{
	mounts_close(&peer->mounts);
}

bool
unix_peer_is_abstract(const struct sockaddr_any *source)
{
	return source->len > offsetof(struct sockaddr_un, sun_path) &&
	       source->un.sun_path[0] == '\0';
}

/*
 * 0, or an errno.  Sending looks the file up again and asks its file system for
 * permission, so that it must be one that waits for nobody.
 */
static int
check_file(struct unix_peer *peer, int fd, uid_t owner)
{
	struct statx status;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		STATX_TYPE | STATX_UID | STATX_MNT_ID, &status) == -1)
		return errno;
	if (!S_ISSOCK(status.stx_mode) || status.stx_uid != owner ||
	    (status.stx_mask & STATX_MNT_ID) == 0)
		return ENOTSOCK;
	return mounts_is_local(&peer->mounts, status.stx_mnt_id) ? 0 : EREMOTE;
}

/*
 * Opens path step by step, without a symbolic link, through folders on local
 * mounts, so that it may wait for these.  Fills the kernel's cache.
 */
static int
walk(struct unix_peer *peer, char *path)
{
	char *rest = NULL;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (char *name = strtok_r(path, "/", &rest); fd != -1 && name != NULL;
	     name = strtok_r(NULL, "/", &rest)) {
		struct statx folder;
		bool is_local =
		    statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
			STATX_MNT_ID, &folder) == 0 &&
		    mounts_is_local(&peer->mounts, folder.stx_mnt_id);
		int next = -1;
		errno = EREMOTE;
		if (is_local)
			next = openat(fd, name,
			    O_PATH | O_NOFOLLOW | O_CLOEXEC);
		int problem = errno;
		close(fd);
		errno = problem;
		fd = next;
	}
	return fd;
}

/*
 * A descriptor of the socket file at path; ENOTSOCK: it is not owner's.  The
 * kernel has the path of every bound socket in its cache, but not always the
 * permissions of its folders or the access time of a link (EAGAIN).
 */
static int
open_socket_file(struct unix_peer *peer, char *path, uid_t owner)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_CACHED | RESOLVE_NO_MAGICLINKS,
	};

	if (peer->users.range_count == 0 && users_read(&peer->users) == -1)
		return -1;
	if (path[0] != '/' || !users_is_known(&peer->users, owner)) {
		errno = ENOTSOCK;
		return -1;
	}
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	/* RestrictSUIDSGID= makes the call fail with ENOSYS. */
	if (fd == -1 && (errno == EAGAIN || errno == ENOSYS))
		fd = walk(peer, path);
	if (fd == -1)
		return -1;
	int problem = check_file(peer, fd, owner);
	if (problem == 0)
		return fd;
	close(fd);
	errno = problem;
	return -1;
}

int
unix_peer_hold(struct unix_peer *peer, struct sockaddr_any *source, uid_t owner)
{
	size_t begin = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(source->un.sun_path) + 1] = "";

	/* An abstract name is not a file: no link can lead it elsewhere. */
	if (unix_peer_is_abstract(source))
		return 0;
	if (peer->count == 0 || peer->owner != owner ||
	    !sockaddr_equal(&peer->name, source)) {
		memcpy(path, source->un.sun_path, source->len - begin);
		int fd = open_socket_file(peer, path, owner);
		if (fd == -1)
			return -1;
		peer->name = *source;
		peer->owner = owner;
		peer->fds[peer->count++] = fd;
	}
	int n = snprintf(source->un.sun_path, sizeof(source->un.sun_path),
	    "/proc/self/fd/%d", peer->fds[peer->count - 1]);
	source->len = (socklen_t)(begin + (size_t)n + 1);
	return 0;
}

void
unix_peer_release(struct unix_peer *peer)
{
	while (peer->count > 0)
		close(peer->fds[--peer->count]);
}
