#include "datagram/unix_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel says for each user that it can't name, and each file of one. */
#define UNKNOWN_USER 65534

void
unix_peer_init(struct unix_peer *mailbox)
{
	mailbox->count = 0;
}

/* A descriptor of the socket file; -1 with errno. */
static int
open_own(const char *path, uid_t owner)
{
	struct stat status;

	if (path[0] != '/' || owner == UNKNOWN_USER) {
		errno = ENOTSOCK;
		return -1;
	}
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return -1;
	int rc = fstat(fd, &status);
	if (rc == 0 && S_ISSOCK(status.st_mode) && status.st_uid == owner)
		return fd;
	int problem = rc == -1 ? errno : ENOTSOCK;
	close(fd);
	errno = problem;
	return -1;
}

static bool
is_held(const struct unix_peer *mailbox, const struct sockaddr_any *source,
    uid_t owner)
{
	return mailbox->count > 0 && mailbox->owner == owner &&
	       sockaddr_equal(&mailbox->name, source);
}

int
unix_peer_hold(struct unix_peer *mailbox, struct sockaddr_any *source,
    uid_t owner)
{
	size_t begin = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(source->un.sun_path) + 1] = "";

	/* An abstract name is no file, and leads to who has it, not beyond. */
	if (source->len > begin && source->un.sun_path[0] == '\0')
		return 0;
	if (!is_held(mailbox, source, owner)) {
		memcpy(path, source->un.sun_path, source->len - begin);
		int fd = open_own(path, owner);
		if (fd == -1)
			return -1;
		mailbox->name = *source;
		mailbox->owner = owner;
		mailbox->fds[mailbox->count++] = fd;
	}
	int n = snprintf(source->un.sun_path, sizeof(source->un.sun_path),
	    "/proc/self/fd/%d", mailbox->fds[mailbox->count - 1]);
	source->len = (socklen_t)(begin + (size_t)n + 1);
	return 0;
}

void
unix_peer_release(struct unix_peer *mailbox)
{
	while (mailbox->count > 0)
		close(mailbox->fds[--mailbox->count]);
}
