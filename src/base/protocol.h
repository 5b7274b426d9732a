#ifndef BASE_PROTOCOL_H
#define BASE_PROTOCOL_H

#include <stdbool.h>

/* The kinds of socket that are served.  All functions are pure. */
enum protocol {
	PROTOCOL_TCP,
	PROTOCOL_UDP,
	PROTOCOL_UNIX,
	PROTOCOL_UNIX_DGRAM,
	PROTOCOL_UNIX_SEQPACKET,
};
#define PROTOCOL_COUNT 5

/* As in the configuration, on the command line and in the log: "unix-dgram". */
const char *protocol_name(enum protocol protocol);

/* The protocol of a name; -1 when there is none. */
int protocol_parse(const char *name);

/* SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
int protocol_socket_type(enum protocol protocol);

/* Served by a thread of its own instead of by accept and workers. */
bool protocol_is_datagram(enum protocol protocol);

/* Addressed by a path instead of by address and port. */
bool protocol_is_unix(enum protocol protocol);

#endif
