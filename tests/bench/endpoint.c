#include "endpoint.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#define RECEIVE_BYTES (4 * 1024 * 1024)
#define FIRST_SOURCE 0x7f010001U /* 127.1.0.1 */
#define SOURCES 256

static void
set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1)
		err(71, "setsockopt");
}

static int
connect_from(int type, int port, in_addr_t source)
{
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(source),
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((in_port_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd == -1)
		err(71, "socket");
	/* Choose the port in connect(2), so that connections can share it. */
	set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1)
		err(71, "bind");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		err(69, "connect");
	return fd;
}

int
endpoint_stream(int port, unsigned number)
{
	int fd = connect_from(SOCK_STREAM, port,
	    FIRST_SOURCE + number % SOURCES);

	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return fd;
}

int
endpoint_datagram(int port)
{
	int fd = connect_from(SOCK_DGRAM, port, INADDR_LOOPBACK);

	set(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BYTES);
	return fd;
}
