/* The least that answers one message of each client: all of it blocking. */

#include <err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

int
main(void)
{
	static char buffer[64 * 1024];
	int listener = loopback_open(SOCK_STREAM);

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd == -1)
			err(71, "accept");
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
		if (n > 0)
			send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
		close(fd);
	}
}
