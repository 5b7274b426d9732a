/* The least code that sends streams back: epoll, large reads, blocking sends. */

#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

static void
serve(int fd)
{
	static char buffer[256 * 1024];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

int
main(void)
{
	loopback_serve(serve, SOCK_CLOEXEC);
}
