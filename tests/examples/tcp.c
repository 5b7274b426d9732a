/* tcp HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply. */
#include <err.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *server;
	if (argc != 4 || getaddrinfo(argv[1], argv[2], &hints, &server) != 0)
		errx(1, "usage: tcp HOST PORT TEXT; does HOST exist?");
	int fd = socket(server->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, server->ai_addr, server->ai_addrlen) != 0)
		err(1, "%s port %s", argv[1], argv[2]);
	if (write(fd, argv[3], strlen(argv[3])) < 0 || shutdown(fd, SHUT_WR))
		err(1, "send"); /* SHUT_WR: nothing more comes */
	ssize_t size; /* a reply may come in pieces: read to the end */
	for (char piece[4096]; (size = read(fd, piece, sizeof(piece))) > 0;)
		fwrite(piece, 1, (size_t)size, stdout);
	if (size < 0 || fflush(stdout) != 0)
		err(1, "reply");
}
