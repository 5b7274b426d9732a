#include "net/sockopt.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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
	/* What a client doesn't read is not to pile up in the kernel either. */
	if (set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX) == -1)
		return -1;
	return set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/*
 * A descriptor may be one whose close takes its time, and the last one of it:
 * whoever sends such a thing is told so, where the kernel can.
 */
static void
refuse_descriptors(int fd)
{
	set(fd, SOL_SOCKET, SO_PASSRIGHTS, 0);
}

static int
set_up_udp(int fd, sa_family_t family)
{
	/* A burst comes as one; singly where the kernel is older than that. */
	set(fd, IPPROTO_UDP, UDP_GRO, 1);
	/* poll(2) would return at once while errors wait that nobody reads. */
	set(fd, IPPROTO_IP, IP_RECVERR, 0);
	set(fd, IPPROTO_IPV6, IPV6_RECVERR, 0);
	/* The reply is to come from the very address that was asked. */
	if (family == AF_INET6 &&
	    set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == -1)
		return -1;
	/* Of IPv4 only this tells a broadcast, also on a socket for both. */
	return set(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

int
sockopt_set_up_conn(int fd, enum protocol protocol)
{
	if (protocol == PROTOCOL_TCP)
		return set_up_tcp(fd);
	refuse_descriptors(fd);
	/* Tells an empty record from the end of a connection. */
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
		/* Tells whose socket a datagram may be answered at. */
		return set(fd, SOL_SOCKET, SO_PASSCRED, 1);
	}
	/* Inherited, which spares a system call for each connection. */
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
sockopt_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	return fcntl(fd, F_SETFL,
	    blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
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
sockopt_gather(int fd)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog first;

	memset(&first, 0, sizeof(first));
	first.len = 1;
	first.filter = code;
	setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &first,
	    sizeof(first));
}

void
sockopt_wait(void)
{
	/* The kernel puts nothing in by an old rule beyond a grace period. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void
sockopt_spread(int fd)
{
	set(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0);
}

void
sockopt_deafen(int fd, const struct sockaddr_any *own)
{
	struct sockaddr_in6 mapped = {
		.sin6_family = AF_INET6,
		.sin6_port = own->in6.sin6_port,
		.sin6_addr.s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
	};

	/*
	 * From there only a socket of our own could send, and none does.  By
	 * syscall(2), for ThreadSanitizer takes a connect(2) for the making of
	 * the descriptor, which another thread has in use.
	 */
	if (syscall(SYS_connect, fd, &own->any, own->len) == -1 &&
	    own->any.sa_family == AF_INET6)
		/* Of "*" on a host where IPv6 is switched off. */
		syscall(SYS_connect, fd, &mapped, sizeof(mapped));
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
