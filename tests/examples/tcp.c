/* tcp HOST PORT LINE: sends LINE to a timestamp server, prints its reply. */
#include <err.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *at;
	if (argc != 4) errx(1, "usage: tcp HOST PORT LINE");
	int fd = -1, rc = getaddrinfo(argv[1], argv[2], &hints, &at);
	if (rc != 0) errx(1, "%s: %s", argv[1], gai_strerror(rc));
	for (rc = -1; rc != 0 && at != NULL; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM, 0);
		rc = connect(fd, at->ai_addr, at->ai_addrlen);
	} /* a host may have several addresses, and listen on one of them */
	if (rc || dprintf(fd, "%s\n", argv[3]) < 0 || shutdown(fd, SHUT_WR))
		err(1, "%s port %s", argv[1], argv[2]);
	FILE *reply = fdopen(fd, "r"); /* it may come in pieces: to the end */
	int c, last = EOF;
	while ((c = getc(reply)) != EOF)
		last = putchar(c);
	if (ferror(reply) || fflush(stdout) || ferror(stdout)) err(1, "reply");
	if (last != '\n') errx(1, last == EOF ? "no reply" : "half a reply");
}
