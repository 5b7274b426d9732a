/* tcp HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply. */
#include <err.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *at;
	if (argc != 4) errx(1, "usage: tcp HOST PORT TEXT");
	int fd = -1, rc = getaddrinfo(argv[1], argv[2], &hints, &at);
	if (rc != 0) errx(1, "%s: %s", argv[1], gai_strerror(rc));
	for (rc = -1; rc != 0 && at != NULL; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM, 0);
		rc = connect(fd, at->ai_addr, at->ai_addrlen);
	} /* a host may have several addresses, and listen on one of them */
	if (rc != 0 || dprintf(fd, "%s", argv[3]) < 0 || shutdown(fd, SHUT_WR))
		err(1, "%s port %s", argv[1], argv[2]);
	ssize_t size, total = 0; /* a reply may come in pieces: to the end */
	for (char piece[4096]; (size = recv(fd, piece, sizeof(piece), 0)) > 0;)
		total += fwrite(piece, 1, size, stdout);
	if (size < 0 || fflush(stdout) != 0 || ferror(stdout)) err(1, "reply");
	if (total == 0) errx(1, "no reply");
}
