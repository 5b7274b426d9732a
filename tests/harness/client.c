#include "client.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "inet.h"

#define CONTROL_MAX 16

static void
connect_to(int fd, const void *address, socklen_t len)
{
	ck_assert_msg(connect(fd, address, len) == 0, "connect: %s",
	    strerror(errno));
}

static int
open_ipv4(const char *ipv4, int type, int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = inet_addr(ipv4),
	};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	connect_to(fd, &address, sizeof(address));
	return fd;
}

static int
open_ipv6(int type, int port)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
	};
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	connect_to(fd, &address, sizeof(address));
	return fd;
}

int
client_tcp(int port)
{
	return open_ipv4("127.0.0.1", SOCK_STREAM, port);
}

int
client_tcp_to(const char *ipv4, int port)
{
	return open_ipv4(ipv4, SOCK_STREAM, port);
}

int
client_tcp_tight(const char *ipv4, int port)
{
	struct sockaddr_any address = inet_address(ipv4, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), least = 1;

	/* Before the connect: later the window would not get smaller. */
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least,
			     sizeof(least)),
	    0);
	connect_to(fd, &address.any, address.len);
	return fd;
}

int
client_tcp6(int port)
{
	return open_ipv6(SOCK_STREAM, port);
}

bool
client_is_kept_out(int fd)
{
	socklen_t blocks = 0;

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL,
			     &blocks),
	    0);
	if (blocks > 0)
		return true;
	ck_assert_uint_ne(geteuid(), 0);
	puts("skipped: this kernel lets only root drop SYNs");
	return false;
}

int
client_udp(int port)
{
	return open_ipv4("127.0.0.1", SOCK_DGRAM, port);
}

int
client_udp_to(const char *ipv4, int port)
{
	return open_ipv4(ipv4, SOCK_DGRAM, port);
}

int
client_udp6(int port)
{
	return open_ipv6(SOCK_DGRAM, port);
}

/* To a path of its own, so that it gets replies. */
static void
bind_in_scratch(int fd)
{
	static unsigned count;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[64];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/client-%u",
	    folder, count++);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
	    0);
}

int
client_unix(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	if (type == SOCK_DGRAM)
		bind_in_scratch(fd);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	connect_to(fd, &address, sizeof(address));
	return fd;
}

void
client_pair(int ends[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			     ends),
	    0);
	ck_assert_int_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
}

void
client_send(int fd, const void *data, size_t len)
{
	const char *at = data;

	do {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
		ck_assert_msg(n >= 0, "send: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	} while (len > 0);
}

ssize_t
client_send_control(int fd, const void *data, size_t len,
    const struct client_control *control)
{
	_Alignas(struct cmsghdr) char buffer[CMSG_SPACE(CONTROL_MAX)] = { 0 };
	struct iovec piece = { (void *)data, len };
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = buffer,
		.msg_controllen = CMSG_SPACE(control->len),
	};
	struct cmsghdr *at = CMSG_FIRSTHDR(&message);

	ck_assert_uint_le(control->len, CONTROL_MAX);
	at->cmsg_level = control->level;
	at->cmsg_type = control->type;
	at->cmsg_len = CMSG_LEN(control->len);
	memcpy(CMSG_DATA(at), control->value, control->len);
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

bool
client_send_descriptor(int fd, const char *text)
{
	struct client_control control = { SOL_SOCKET, SCM_RIGHTS, &fd,
		sizeof(fd) };
	size_t len = strlen(text);
	ssize_t n = client_send_control(fd, text, len, &control);
	bool is_refused = n == -1 && errno == EPERM;

	if (is_refused)
		n = send(fd, text, len, MSG_NOSIGNAL);
	ck_assert_int_eq(n, (ssize_t)len);
	return !is_refused;
}

bool
client_may_refuse_descriptors(int fd)
{
	int value;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &value, &len) ==
	    0)
		return true;
	puts("skipped: this kernel can't refuse descriptors");
	return false;
}

void
client_read(int fd, void *data, size_t len)
{
	char *at = data;

	while (len > 0) {
		ssize_t n = recv(fd, at, len, 0);
		ck_assert_msg(n > 0, "recv: %s",
		    n == 0 ? "end" : strerror(errno));
		at += n;
		len -= (size_t)n;
	}
}

size_t
client_read_end(int fd, void *data, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size &&
	       (n = recv(fd, (char *)data + len, size - len, 0)) != 0) {
		ck_assert_msg(n > 0, "recv: %s", strerror(errno));
		len += (size_t)n;
	}
	return len;
}

void
client_assert_reply(const char *reply, size_t reply_len, const void *text,
    size_t len)
{
	struct tm tm = { .tm_isdst = -1 };
	struct timespec now;
	char stamp_text[STAMP_LEN + 1] = "";

	/* Not time(2), which may still return the previous second. */
	clock_gettime(CLOCK_REALTIME, &now);
	ck_assert_uint_eq(reply_len, STAMP_LEN + len);
	/* strptime takes one blank for any number of blanks. */
	memcpy(stamp_text, reply, STAMP_LEN);
	const char *end = strptime(stamp_text, "[%a %b %d %H:%M:%S %Y] ", &tm);
	ck_assert_msg(end == stamp_text + STAMP_LEN, "no stamp: %.27s", reply);
	time_t stamp = mktime(&tm);
	ck_assert_msg(stamp <= now.tv_sec && stamp > now.tv_sec - 300,
	    "not the present time: %.27s", reply);
	ck_assert_mem_eq(reply + STAMP_LEN, text, len);
}

void
client_expect(int fd, const void *text, size_t len)
{
	char *reply = calloc(1, STAMP_LEN + len + 1);

	client_read(fd, reply, STAMP_LEN + len);
	client_assert_reply(reply, STAMP_LEN + len, text, len);
	free(reply);
}

void
client_expect_datagram(int fd, const void *text, size_t len)
{
	size_t size = STAMP_LEN + len + 100;
	char *reply = calloc(1, size);
	ssize_t n = recv(fd, reply, size - 1, 0);

	ck_assert_msg(n >= 0, "recv: %s", strerror(errno));
	client_assert_reply(reply, (size_t)n, text, len);
	free(reply);
}

void
client_expect_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	ck_assert_msg(n == 0, "recv: %s",
	    n == 1 ? "data instead of the end" : strerror(errno));
}

void
client_expect_silence(int fd, int ms)
{
	struct pollfd news = { .fd = fd, .events = POLLIN };

	ck_assert_msg(poll(&news, 1, ms) == 0, "it is not silent");
}

void
client_expect_drained(const int *fds, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++) {
		client_expect(fds[i], text, strlen(text));
		client_expect_end(fds[i]);
		close(fds[i]);
	}
}

void
client_talk(int fd, const char *text)
{
	client_send(fd, text, strlen(text));
	client_expect(fd, text, strlen(text));
}

const char *
client_http(int port, const char *request, const char *headers)
{
	static char answer[65536];
	char text[1024];
	int fd = client_tcp(port);
	int len = snprintf(text, sizeof(text),
	    "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", request, headers);

	client_send(fd, text, (size_t)len);
	answer[client_read_end(fd, answer, sizeof(answer) - 1)] = '\0';
	close(fd);
	return answer;
}
