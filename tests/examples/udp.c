/* udp HOST PORT TEXT: sends TEXT to a timestamp server, prints its reply. */
#include <err.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *at;
	if (argc != 4) errx(1, "usage: udp HOST PORT TEXT");
	int rc = getaddrinfo(argv[1], argv[2], &hints, &at);
	if (rc != 0) errx(1, "%s: %s", argv[1], gai_strerror(rc));
	/* Only the first address is tried: no reply does not say why. */
	int fd = socket(at->ai_family, SOCK_DGRAM, 0);
	if (connect(fd, at->ai_addr, at->ai_addrlen) != 0 ||
	    send(fd, argv[3], strlen(argv[3]), 0) < 0)
		err(1, "%s port %s", argv[1], argv[2]);
	struct pollfd ready = { fd, POLLIN, 0 }; /* a datagram may get lost */
	if (poll(&ready, 1, 2000) == 0) errx(1, "no reply");
	char reply[65536]; /* it comes whole or not at all */
	ssize_t size = recv(fd, reply, sizeof(reply), 0);
	if (size < 0 || write(1, reply, size) != size) err(1, "reply");
}
