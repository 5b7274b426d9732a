#include "loopback.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define BACKLOG 4096
#define EVENTS_MAX 256

int
loopback_open(int type)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = 1;

	if (fd == -1 || bind(fd, (struct sockaddr *)&address, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) == -1)
		err(71, "socket");
	if (type == SOCK_STREAM && (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY,
					&one, sizeof(one)) == -1 ||
				       listen(fd, BACKLOG) == -1))
		err(71, "listen");
	fprintf(stderr, "listening on %s 127.0.0.1:%d\n",
	    type == SOCK_STREAM ? "tcp" : "udp", ntohs(address.sin_port));
	return fd;
}

static void
add(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
		err(71, "epoll_ctl");
}

noreturn void
loopback_serve(void (*serve)(int fd), int flags)
{
	int listener = loopback_open(SOCK_STREAM);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[EVENTS_MAX];

	add(epoll_fd, listener);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd != listener)
				serve(events[i].data.fd);
			else
				add(epoll_fd,
				    accept4(listener, NULL, NULL, flags));
		}
	}
}
