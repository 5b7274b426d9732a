/*
 * The least that answers many TCP clients: epoll, receive, send.  What a client
 * does not take in time it does not get.
 */

#include <err.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"

#define EVENTS_MAX 256

static void
add(int epoll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
		err(71, "epoll_ctl");
}

static void
serve(int fd)
{
	static char buffer[64 * 1024];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0 || (send(fd, buffer, (size_t)n, MSG_NOSIGNAL) == -1 &&
			  errno != EAGAIN))
		close(fd);
}

int
main(void)
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
				    accept4(listener, NULL, NULL,
					SOCK_CLOEXEC | SOCK_NONBLOCK));
		}
	}
}
