#include "net/sockopt.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

/* Newer than the C library's headers; of Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define UNSENT_MAX (64 * 1024)

static int
set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int
get(int fd, int level, int name)
{
	int value;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) == -1 ? -1 : value;
}

static int
set_up_tcp(int fd)
{
	if (set(fd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ||
	    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
	    set(fd, SOL_SOCKET, SO_OOBINLINE, 1) == -1)
		return -1;
	/* Replies that a client does not read must not fill kernel memory. */
	if (set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX) == -1)
		return -1;
	return set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/*
 * A client could send the last descriptor of a file whose close(2) takes long.
 * Where the kernel can, it refuses descriptors and tells the client so.
 */
static void
refuse_descriptors(int fd)
{
	set(fd, SOL_SOCKET, SO_PASSRIGHTS, 0);
}

static int
set_up_udp(int fd, sa_family_t family)
{
	/* Ignore an error: a kernel without it delivers datagrams singly. */
	set(fd, IPPROTO_UDP, UDP_GRO, 1);
	/* poll(2) would return at once while errors wait that nobody reads. */
	set(fd, IPPROTO_IP, IP_RECVERR, 0);
	set(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	/* A reply is sent from the address that the request was sent to. */
	if (family == AF_INET6 &&
	    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == -1)
		return -1;
	/* For IPv4, also on a dual-stack socket: tells broadcasts apart. */
	return set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

int
sockopt_set_up_conn(int fd, enum protocol protocol)
{
	if (protocol == PROTOCOL_TCP)
		return set_up_tcp(fd);
	refuse_descriptors(fd);
	/* Credentials tell an empty record from the end of a connection. */
	if (protocol == PROTOCOL_UNIX_SEQPACKET)
		return set(fd, SOL_SOCKET, SO_PASSCRED, 1);
	return set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

int
sockopt_set_up(int fd, enum protocol protocol, sa_family_t family)
{
	if (protocol == PROTOCOL_UDP)
		return set_up_udp(fd, family);
	if (protocol == PROTOCOL_UNIX_DGRAM) {
		refuse_descriptors(fd);
		/* The sender's user decides where a datagram may be answered. */
		return set(fd, SOL_SOCKET, SO_PASSCRED, 1);
	}
	/* Connections inherit the options: no system call for each of them. */
	return sockopt_set_up_conn(fd, protocol);
}

int
sockopt_set_v6_only(int fd, bool v6_only)
{
	return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
}

bool
sockopt_is_v6_only(int fd)
{
	return get(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0;
}

int
sockopt_set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int
sockopt_protocol(int fd)
{
	int domain = get(fd, SOL_SOCKET, SO_DOMAIN);
	int type = get(fd, SOL_SOCKET, SO_TYPE);
	int transport = get(fd, SOL_SOCKET, SO_PROTOCOL);
	bool listens = get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
	bool is_inet = domain == AF_INET || domain == AF_INET6;

	if (is_inet && transport != IPPROTO_TCP && transport != IPPROTO_UDP)
		return -1;
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		enum protocol protocol = (enum protocol)i;
		bool is_of_domain = protocol_is_unix(protocol)
		                      ? domain == AF_UNIX
		                      : is_inet;
		if (is_of_domain && type == protocol_socket_type(protocol))
			return listens != protocol_is_datagram(protocol) ? i
			                                                 : -1;
	}
	return -1;
}

int
sockopt_set_arrival(int fd, bool on)
{
	return set(fd, SOL_SOCKET, SO_TIMESTAMPNS, on);
}

int
sockopt_cookie(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len);
}

int
sockopt_set_shared(int fd, bool shared)
{
	return set(fd, SOL_SOCKET, SO_REUSEPORT, shared);
}

void
sockopt_drop_syn(int fd)
{
	enum { FLAGS_AT = 13, SYN = 0x02 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter;

	memset(&filter, 0, sizeof(filter));
	filter.len = sizeof(code) / sizeof(code[0]);
	filter.filter = code;
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}
