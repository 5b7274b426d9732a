#ifndef TIMESTAMPC_CONNECTION_H
#define TIMESTAMPC_CONNECTION_H

#include <stdint.h>

#include "net/sockaddr.h"
#include "timestampc/target.h"

/* A socket that is connected to a server.  Owned by one thread. */
struct connection {
	int fd; /* non-blocking; -1: none */
	struct sockaddr_any peer;
	/* The folder of a Unix datagram client's socket file; "": none. */
	char folder[sizeof("/tmp/timestampc.XXXXXX")];
	/* Datagrams: addresses, or kinds of our own name, to pass over because
	 * nothing came; for the caller to count up, kept by connection_open. */
	size_t skip;
	size_t addresses;  /* datagrams: how many there are */
	char problem[512]; /* why it failed */
};

/*
 * Connects to the first address of target that answers: each has 250 ms ahead
 * of the next, as RFC 8305 says.  A Unix datagram socket gets a name of its own
 * that the server answers, if it answers in time.  Returns 0, or an exit status
 * with the reason in connection->problem: EX_NOHOST, EX_UNAVAILABLE, EX_OSERR.
 * deadline_ms is of clock_ms().  Any thread.
 */
int connection_open(struct connection *connection, const struct target *target,
    uint64_t deadline_ms);

/* The bytes of the largest datagram or record that the socket can send. */
size_t connection_largest(const struct connection *connection);

/* Closes the socket and removes its file; harmless without a connection. */
void connection_close(struct connection *connection);

#endif
