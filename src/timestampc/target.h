#ifndef TIMESTAMPC_TARGET_H
#define TIMESTAMPC_TARGET_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/protocol.h"

#define TARGET_PORT 21567

/* Where the server is.  Parsed once, then immutable. */
struct target {
	const char *text; /* as it was given */
	enum protocol protocol;
	sa_family_t family; /* AF_UNSPEC: any */
	int port;
	char host[256];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/*
 * Reads "host", "host:port", "port", "[::1]:port", each also with "tcp:" or
 * "udp:" in front, and "unix:/path" and its like.  -1: text is none of these.
 * text stays the caller's and must outlive target.
 */
int target_parse(struct target *target, const char *text);

#endif
