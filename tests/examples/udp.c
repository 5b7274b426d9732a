/* udp HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply. */
#include <err.h>
#include <netdb.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *server;
	if (argc != 4 || getaddrinfo(argv[1], argv[2], &hints, &server) != 0)
		errx(1, "usage: udp HOST PORT TEXT; does HOST exist?");
	struct timeval limit = { .tv_sec = 2 }; /* a datagram may get lost */
	int fd = socket(server->ai_family, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, server->ai_addr, server->ai_addrlen) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    send(fd, argv[3], strlen(argv[3]), 0) < 0)
		err(1, "%s port %s", argv[1], argv[2]);
	char reply[65536]; /* a datagram comes whole or not at all */
	ssize_t size = recv(fd, reply, sizeof(reply), 0);
	if (size < 0 || write(STDOUT_FILENO, reply, (size_t)size) != size)
		err(1, "reply");
}
