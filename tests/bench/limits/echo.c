/*
 * The least code that answers many TCP clients: epoll, receive, send.  Replies
 * that do not fit into a client's socket are lost.
 */

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

static void
serve(int fd)
{
	static char buffer[64 * 1024];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0 || (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == -1 &&
			  errno != EAGAIN))
		close(fd);
}

int
main(void)
{
	loopback_serve(serve, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
