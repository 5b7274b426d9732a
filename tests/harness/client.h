#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAMP_LEN 27 /* of the default format */

/* Sockets of a test client.  If a function fails, the test fails. */
int client_tcp(int port); /* connected to 127.0.0.1 */
int client_tcp_to(const char *ipv4, int port);
int client_tcp6(int port);                        /* to ::1 */
int client_tcp_tight(const char *ipv4, int port); /* least room for replies */
int client_udp(int port);
int client_udp_to(const char *ipv4, int port);
int client_udp6(int port);

/* type: SOCK_*.  A datagram socket is bound to a path in the scratch folder. */
int client_unix(const char *path, int type);

/* A Unix stream: ends[0] is the server's, and non-blocking. */
void client_pair(int ends[2]);

void client_send(int fd, const void *data, size_t len);

/*
 * Whether no further client gets to a listening TCP socket that was told to drop
 * SYNs.  Some kernels, Linux 6.18 here, want CAP_NET_ADMIN for that; it prints so.
 */
bool client_is_kept_out(int fd);

/* A control message to send along with data; see cmsg(3). */
struct client_control {
	int level, type;
	const void *value;
	size_t len; /* at most 16 */
};

/* Calls sendmsg(2); returns what it returns, with errno. */
ssize_t client_send_control(int fd, const void *data, size_t len,
    const struct client_control *control);

/*
 * Sends text and a file descriptor over a Unix socket.  If the kernel says that
 * the server refuses descriptors, sends text alone and returns false.
 */
bool client_send_descriptor(int fd, const char *text);

/* Whether this kernel can refuse descriptors on behalf of a server. */
bool client_may_refuse_descriptors(int fd);

/* Reads exactly len bytes. */
void client_read(int fd, void *data, size_t len);

/* Reads to the end of the stream, at most size bytes; returns the length. */
size_t client_read_end(int fd, void *data, size_t size);

/* Asserts that reply is a stamp of the last five minutes, followed by text. */
void client_assert_reply(const char *reply, size_t reply_len, const void *text,
    size_t len);

/* Reads a reply to text and asserts the same. */
void client_expect(int fd, const void *text, size_t len);

/* The same for one datagram or record. */
void client_expect_datagram(int fd, const void *text, size_t len);

/* Asserts that the server closes the connection without a reset. */
void client_expect_end(int fd);

/*
 * Asserts that nothing comes for so long.  For tests of what the server does
 * not do, or of what it costs meanwhile.
 */
void client_expect_silence(int fd, int ms);

/* Asserts a reply to text and then the end on each of fds, and closes them. */
void client_expect_drained(const int *fds, size_t count, const char *text);

/*
 * Asks an HTTP server on 127.0.0.1 for path, as "GET /live", and returns the
 * whole answer in a static buffer.  headers may be "", or end with CRLF.
 */
const char *client_http(int port, const char *request, const char *headers);

/* Sends text and asserts that it comes back with a stamp. */
void client_talk(int fd, const char *text);

#endif
