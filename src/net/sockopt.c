#include "net/sockopt.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <unistd.h>

/* Newer than the C library's headers; of Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define UNSENT_MAX (64 * 1024)

int
sockopt_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

int
sockopt_get(int fd, int level, int name)
{
	int value;
	socklen_t len = sizeof(value);

	return getsockopt(fd, level, name, &value, &len) == -1 ? -1 : value;
}

#define TCP (1U << PROTOCOL_TCP)
#define UDP (1U << PROTOCOL_UDP)
#define UNIX_STREAM (1U << PROTOCOL_UNIX)
#define UNIX_RECORDS (1U << PROTOCOL_UNIX_DGRAM | 1U << PROTOCOL_UNIX_SEQPACKET)

/* What a socket of these protocols needs in order to be served. */
static const struct {
	unsigned protocols;
	int level, name, value;
	bool is_optional;
} options[] = {
	{ TCP, SOL_SOCKET, SO_REUSEADDR, 1, false },
	{ TCP, SOL_SOCKET, SO_KEEPALIVE, 1, false },
	{ TCP | UNIX_STREAM, SOL_SOCKET, SO_OOBINLINE, 1, false },
	/* Replies that a client does not read must not fill kernel memory. */
	{ TCP, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_MAX, false },
	{ TCP, IPPROTO_TCP, TCP_NODELAY, 1, false },
	/* A client could send the last descriptor of a file whose close(2)
	 * takes long.  Where the kernel can, it rejects descriptors. */
	{ UNIX_STREAM | UNIX_RECORDS, SOL_SOCKET, SO_PASSRIGHTS, 0, true },
	/* Credentials tell an empty record from the end of a connection, and
	 * the sender's user decides where a datagram may be answered. */
	{ UNIX_RECORDS, SOL_SOCKET, SO_PASSCRED, 1, false },
	/* A kernel without it delivers datagrams singly. */
	{ UDP, IPPROTO_UDP, UDP_GRO, 1, true },
	/* With unread errors queued, poll(2) would always return at once. */
	{ UDP, IPPROTO_IP, IP_RECVERR, 0, true },
	{ UDP, IPPROTO_IPV6, IPV6_RECVERR, 0, true },
	/* A reply is sent from the address that the request was sent to; for
	 * IPv4 also on a dual-stack socket, and this tells broadcasts apart. */
	{ UDP, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, false },
	{ UDP, IPPROTO_IP, IP_PKTINFO, 1, false },
	/* Anybody can forge an ICMP message that says that the path takes only
	 * short packets.  Replies neither believe it nor store it. */
	{ UDP, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT, false },
	{ UDP, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT, false },
};

int
sockopt_send_buffer(int fd)
{
	/* The kernel doubles what is set, for its own needs. */
	return sockopt_get(fd, SOL_SOCKET, SO_SNDBUF) / 2;
}

/* Bytes that the kernel gives a send buffer for the asking. */
static int
most_send_buffer(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return 0;
	sockopt_set(fd, SOL_SOCKET, SO_SNDBUF, SOCKOPT_SEND_BUFFER);
	int size = sockopt_send_buffer(fd);
	close(fd);
	return size;
}

/* Makes the buffer as large as it may be.  A passed one may be larger already,
 * and then must not shrink: SO_SNDBUF would cap it. */
static void
raise_send_buffer(int fd)
{
	if (sockopt_send_buffer(fd) < SOCKOPT_SEND_BUFFER &&
	    sockopt_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKOPT_SEND_BUFFER) ==
		-1 &&
	    sockopt_send_buffer(fd) < most_send_buffer())
		sockopt_set(fd, SOL_SOCKET, SO_SNDBUF, SOCKOPT_SEND_BUFFER);
}

int
sockopt_set_up(int fd, enum protocol protocol, sa_family_t family)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if ((options[i].protocols & 1U << protocol) != 0 &&
		    (options[i].level != IPPROTO_IPV6 || family == AF_INET6) &&
		    sockopt_set(fd, options[i].level, options[i].name,
			options[i].value) == -1 &&
		    !options[i].is_optional)
			return -1;
	if (protocol == PROTOCOL_UDP)
		raise_send_buffer(fd);
	return 0;
}

/* The kernel doubles both, and then lets in one more segment of 64 KiB. */
int
sockopt_set_buffers(int fd, int bytes)
{
	return sockopt_set(fd, SOL_SOCKET, SO_RCVBUF, bytes) |
	       sockopt_set(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

void
sockopt_widen(int fd)
{
	struct sockaddr_any peer = { .len = sizeof(peer.storage) };
	int bytes = sockopt_get(fd, SOL_SOCKET, SO_RCVBUF) / 2 * 3;

	if (bytes <= 0 || getpeername(fd, &peer.any, &peer.len) == -1 ||
	    !sockaddr_is_loopback(&peer))
		return;
	sockopt_set_buffers(fd, bytes);
	sockopt_set(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, bytes);
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
	int domain = sockopt_get(fd, SOL_SOCKET, SO_DOMAIN);
	int type = sockopt_get(fd, SOL_SOCKET, SO_TYPE);
	int transport = sockopt_get(fd, SOL_SOCKET, SO_PROTOCOL);
	bool listens = sockopt_get(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
	bool is_inet = (domain == AF_INET || domain == AF_INET6) &&
	               (transport == IPPROTO_TCP || transport == IPPROTO_UDP);

	for (enum protocol i = 0; i < PROTOCOL_COUNT; i++)
		if ((protocol_is_unix(i) ? domain == AF_UNIX : is_inet) &&
		    type == protocol_socket_type(i) &&
		    listens != protocol_is_datagram(i))
			return (int)i;
	return -1;
}

int
sockopt_cookie(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len);
}

void
sockopt_prefer_second(int fd)
{
	static struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, 1) };
	static const struct sock_fprog program = { 1, code };

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
	    sizeof(program));
}

void
sockopt_drop_syn(int fd)
{
	enum { FLAGS_AT = 13, SYN = 0x02 };
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	static const struct sock_fprog filter = { 4, code };

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}
