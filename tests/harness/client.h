#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAMP_LEN 27 /* of the default format */

/* Sockets of a test client.  A failure of any function fails the test. */
int client_tcp(int port); /* connected to 127.0.0.1 */
int client_tcp_to(const char *ipv4, int port);
int client_tcp6(int port); /* to ::1 */
int client_udp(int port);
int client_udp6(int port);

/* type: SOCK_*.  A datagram socket is bound, so that it can be answered. */
int client_unix(const char *path, int type);

void client_send(int fd, const void *data, size_t len);

/*
 * Sends text over a Unix socket with a file descriptor; without one, and returns
 * false, where the kernel says that the server refuses descriptors.
 */
bool client_send_descriptor(int fd, const char *text);

/* Whether the kernel can refuse descriptors for a server. */
bool client_may_refuse_descriptors(int fd);

/* Reads exactly len bytes. */
void client_read(int fd, void *data, size_t len);

/* Reads to the end of the stream, at most size bytes; returns how many. */
size_t client_read_end(int fd, void *data, size_t size);

/* Asserts that reply is a stamp of the last minutes, followed by text. */
void client_assert_reply(const char *reply, size_t reply_len, const void *text,
    size_t len);

/* Reads a reply and asserts the same of it. */
void client_expect(int fd, const void *text, size_t len);

/* The same for one datagram or record. */
void client_expect_datagram(int fd, const void *text, size_t len);

/* Asserts that the server has closed the connection, without a reset. */
void client_expect_end(int fd);

/* Sends text and asserts that it comes back with a stamp. */
void client_talk(int fd, const char *text);

#endif
