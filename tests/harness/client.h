#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAMP_LEN 27 /* of the default format */

/* Sockets of a test client; what fails, fails the test. */
int client_tcp(int port); /* connected to 127.0.0.1 */
int client_tcp_to(const char *ipv4, int port);
int client_tcp6(int port); /* to ::1 */
int client_udp(int port);
int client_udp6(int port);

/* type is a SOCK_*; a datagram socket gets an address to be answered at. */
int client_unix(const char *path, int type);

void client_send(int fd, const void *data, size_t len);

/*
 * Sends text, and a file descriptor with it, or without where the kernel says
 * that the server wants none: then false; Unix.
 */
bool client_send_descriptor(int fd, const char *text);

/* Whether the kernel can say so. */
bool client_may_refuse_descriptors(int fd);

/* Reads until len bytes are there. */
void client_read(int fd, void *data, size_t len);

/* Reads to the end: the number of bytes, at most size. */
size_t client_read_end(int fd, void *data, size_t size);

/* Asserts that reply is a stamp of about now, and then text. */
void client_assert_reply(const char *reply, size_t reply_len, const void *text,
    size_t len);

/* Asserts that the next bytes are a stamp of about now, and then text. */
void client_expect(int fd, const void *text, size_t len);

/* The same for one datagram or record. */
void client_expect_datagram(int fd, const void *text, size_t len);

/* Asserts that the server has closed the connection in order. */
void client_expect_end(int fd);

/* Sends text and expects it back. */
void client_talk(int fd, const char *text);

#endif
