#include "base/protocol.h"

#include <string.h>
#include <sys/socket.h>

static const struct {
	const char *name;
	int socket_type;
	bool is_unix;
} protocols[PROTOCOL_COUNT] = {
	[PROTOCOL_TCP] = { "tcp", SOCK_STREAM, false },
	[PROTOCOL_UDP] = { "udp", SOCK_DGRAM, false },
	[PROTOCOL_UNIX] = { "unix", SOCK_STREAM, true },
	[PROTOCOL_UNIX_DGRAM] = { "unix-dgram", SOCK_DGRAM, true },
	[PROTOCOL_UNIX_SEQPACKET] = { "unix-seqpacket", SOCK_SEQPACKET, true },
};

const char *
protocol_name(enum protocol protocol)
{
	return protocols[protocol].name;
}

int
protocol_parse(const char *name)
{
	for (int i = 0; i < PROTOCOL_COUNT; i++)
		if (strcmp(name, protocols[i].name) == 0)
			return i;
	return -1;
}

int
protocol_socket_type(enum protocol protocol)
{
	return protocols[protocol].socket_type;
}

bool
protocol_is_datagram(enum protocol protocol)
{
	return protocols[protocol].socket_type == SOCK_DGRAM;
}

bool
protocol_is_unix(enum protocol protocol)
{
	return protocols[protocol].is_unix;
}
