#include "datagram/unix_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The overflow user ID, of files whose owner is unmapped in this namespace. */
#define UNKNOWN_USER 65534

/* A descriptor of the socket file at path; ENOTSOCK: it is not owner's. */
static int
open_socket_file(const char *path, uid_t owner)
{
	struct stat status;

	if (path[0] != '/' || owner == UNKNOWN_USER) {
		errno = ENOTSOCK;
		return -1;
	}
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	int problem = fstat(fd, &status) == -1 ? errno : 0;
	if (problem == 0 && S_ISSOCK(status.st_mode) && status.st_uid == owner)
		return fd;
	close(fd);
	errno = problem == 0 ? ENOTSOCK : problem;
	return -1;
}

int
unix_peer_hold(struct unix_peer *peer, struct sockaddr_any *source, uid_t owner)
{
	size_t begin = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(source->un.sun_path) + 1] = "";

	/* An abstract name is not a file: no link can lead it elsewhere. */
	if (source->len > begin && source->un.sun_path[0] == '\0')
		return 0;
	if (peer->count == 0 || peer->owner != owner ||
	    !sockaddr_equal(&peer->name, source)) {
		memcpy(path, source->un.sun_path, source->len - begin);
		int fd = open_socket_file(path, owner);
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
