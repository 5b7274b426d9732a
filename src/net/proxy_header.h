#ifndef NET_PROXY_HEADER_H
#define NET_PROXY_HEADER_H

#include <stddef.h>

#include "net/sockaddr.h"

/*
 * The header of the PROXY protocol, version 1 or 2, in which a balancer tells
 * the server who the client is.  Pure; bytes are read from the start each time.
 */

#define PROXY_HEADER_MAX 4096 /* bytes; longer ones are refused */

enum proxy_header_form {
	PROXY_HEADER_NONE,  /* it begins otherwise: these are data */
	PROXY_HEADER_MAYBE, /* all are the beginning of a signature */
	PROXY_HEADER_PART,  /* it has a signature, and more is to come */
	PROXY_HEADER_WHOLE,
	PROXY_HEADER_BAD, /* it has a signature, and is not valid */
};

struct proxy_header {
	size_t len; /* bytes, in front of the data */
	/* len 0: the connection's own address is that of its client. */
	struct sockaddr_any client;
};

/* Sets header only when it is whole. */
enum proxy_header_form proxy_header_read(const char *bytes, size_t len,
    struct proxy_header *header);

#endif
