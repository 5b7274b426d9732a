/*
 * visit [hang-up]
 *
 * The least code that answers one message of each client, with blocking calls.
 * Waits for the client to close first; "hang-up": closes first.
 */

#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

int
main(int argc, char **argv)
{
	static char buffer[64 * 1024];
	int listener = loopback_open(SOCK_STREAM);
	bool hang_up = argc == 2;

	(void)argv;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd == -1)
			err(71, "accept");
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
		if (n > 0)
			n = send(fd, buffer, (size_t)n, MSG_NOSIGNAL);
		if (n > 0 && !hang_up)
			recv(fd, buffer, sizeof(buffer), 0);
		close(fd);
	}
}
