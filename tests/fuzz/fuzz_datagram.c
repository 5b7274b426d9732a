/*
 * Datagrams as the kernel would pass them, with control messages of any value:
 * each single one or GRO segment gets the reply that a slow version computes,
 * or none.  recvmmsg(2) and what sends are replaced: the thread of
 * datagram/datagram works without a network.
 *
 * The first byte of the input chooses the settings, then come messages: see
 * next_message.  One thread serves all inputs; its clients are others each time.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datagram/datagram.h"
#include "fuzz.h"
#include "net/cmsg.h"

#define STAMP "[%] " /* of the format "%%": the same at any time */
#define STAMP_LEN 4
#define OWN_PORT 21567
#define REPLY_MAX 65507
#define REPEATS 400            /* one of so many repeats is dropped */
#define EXPECTED_MAX (1 << 17) /* replies */
#define SEGMENTS_MAX 128       /* in one message */
#define SOURCES 6
#define MULTICAST 0xe0000001
#define INPUT_MAX 4096

/* Data is not stored: byte i is byte_at(fill, at + i). */
struct piece {
	uint8_t fill;
	size_t at, len;
};

/* The reply to a piece: to a source, with IP_PKTINFO of an address; 0: none. */
struct reply {
	int source;
	in_addr_t from;
	struct piece piece;
};

static struct {
	struct datagram_thread *thread;
	int fd;                /* readable: recvmmsg has something to return */
	_Atomic bool is_ready; /* the datagram thread owns what follows */
	sem_t done;
	const uint8_t *script, *end;
	uint32_t run;
	int max_datagram;
	int send_problem; /* of every third call that sends; 0: none */
	unsigned sends;
	struct reply expected[EXPECTED_MAX];
	size_t expected_count, got_count;
	struct {
		bool is_known;
		struct piece last;
		int repeats;
	} sources[SOURCES];
} world;

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

static unsigned
take(size_t bytes)
{
	unsigned value = 0;

	while (bytes-- > 0)
		value = value << 8 |
		        (world.script < world.end ? *world.script++ : 0);
	return value;
}

static char
byte_at(uint8_t fill, size_t i)
{
	return fill & 1 ? STAMP[i % STAMP_LEN]
	                : (char)('a' + (i * 7 + fill) % 26);
}

static bool
equals(const struct piece *piece, const char *data)
{
	for (size_t i = 0; i < piece->len; i++)
		if (data[i] != byte_at(piece->fill, piece->at + i))
			return false;
	return true;
}

static struct sockaddr_in
address_of(int source)
{
	static const uint16_t ports[SOURCES] = { 40000, 40001, 0, 1023,
		OWN_PORT, 40000 };
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(ports[source]),
		.sin_addr.s_addr = htonl(
		    source == 5 ? MULTICAST
				: 0x7f000000 | (world.run & 0xffffff)),
	};

	return address;
}

static bool
is_repeat(int source, const struct piece *piece)
{
	const struct piece *last = &world.sources[source].last;

	if (!world.sources[source].is_known || last->len != piece->len)
		return false;
	for (size_t i = 0; i < piece->len; i++)
		if (byte_at(piece->fill, piece->at + i) !=
		    byte_at(last->fill, last->at + i))
			return false;
	return true;
}

/* Whether the loop guard lets it pass. */
static bool
is_no_loop(int source, const struct piece *piece)
{
	bool again = is_repeat(source, piece);

	world.sources[source].last = *piece;
	world.sources[source].is_known = true;
	if (!again || ++world.sources[source].repeats < REPEATS)
		return true;
	world.sources[source].repeats = 0;
	return false;
}

static bool
is_stamped_twice(const struct piece *piece)
{
	return piece->fill & 1 && piece->at % STAMP_LEN == 0 &&
	       piece->len >= 2 * (size_t)STAMP_LEN;
}

/* The slow version of find_drop. */
static void
expect(int source, in_addr_t from, struct piece piece)
{
	if (piece.len > (size_t)world.max_datagram ||
	    piece.len + STAMP_LEN > REPLY_MAX || source > 1 ||
	    is_stamped_twice(&piece) || !is_no_loop(source, &piece))
		return;
	ensure(world.expected_count < EXPECTED_MAX);
	world.expected[world.expected_count++] = (struct reply){ source, from,
		piece };
}

/* Adds a control message if there is room, as the kernel does. */
static void
add_control(struct msghdr *header, size_t *used, int level, int type,
    const void *value, size_t len)
{
	struct cmsghdr *at = (void *)((char *)header->msg_control + *used);

	if (header->msg_controllen - *used < CMSG_SPACE(len)) {
		header->msg_flags |= MSG_CTRUNC;
		return;
	}
	memset(at, 0, CMSG_SPACE(len));
	at->cmsg_level = level;
	at->cmsg_type = type;
	at->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(at), value, len);
	*used += CMSG_SPACE(len);
}

/* What control messages say of a message; the last of a kind holds. */
struct meaning {
	in_addr_t from;
	int segment;
	bool is_to_many;
};

static void
add_pktinfo(struct msghdr *header, size_t *used, struct meaning *meaning)
{
	static const uint32_t tos[] = { 0x7f000001, 0x0a000001, 0xe0000001,
		0xffffffff, 0x7fffffff };
	unsigned which = take(1) % 5;
	struct in_pktinfo info = {
		.ipi_ifindex = 1,
		.ipi_addr.s_addr = htonl(tos[which]),
		.ipi_spec_dst.s_addr = htonl(
		    which == 4 ? 0x7f000001 : tos[which]),
	};

	if (meaning->from != 0)
		return;
	add_control(header, used, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	if (header->msg_flags & MSG_CTRUNC)
		return;
	meaning->from = info.ipi_addr.s_addr;
	meaning->is_to_many = which >= 2;
}

static void
add_controls(struct msghdr *header, struct meaning *meaning, unsigned count,
    size_t len)
{
	int least = (int)(len / SEGMENTS_MAX);
	size_t used = 0;

	for (; count > 0 && (header->msg_flags & MSG_CTRUNC) == 0; count--) {
		unsigned kind = take(1) % 4;
		int segment = (int)take(2);
		struct timespec arrived = { segment, segment };

		if (kind == 0) {
			if (segment == 65535)
				segment = -1;
			else if (segment > 0 && segment <= least)
				segment = least + 1;
			add_control(header, &used, IPPROTO_UDP, UDP_GRO,
			    &segment, sizeof(segment));
			if ((header->msg_flags & MSG_CTRUNC) == 0)
				meaning->segment = segment > 0 ? segment : 0;
		} else if (kind == 1) {
			add_pktinfo(header, &used, meaning);
		} else if (kind == 2) {
			add_control(header, &used, SOL_SOCKET, SO_TIMESTAMPNS,
			    &arrived, sizeof(arrived));
		} else {
			add_control(header, &used, SOL_SOCKET, SO_RXQ_OVFL,
			    &segment, sizeof(segment));
		}
	}
	header->msg_controllen = used;
}

static void
expect_all(int source, const struct meaning *meaning, struct piece piece,
    bool is_cut)
{
	size_t left = piece.len, segment = (size_t)meaning->segment;

	if (meaning->is_to_many)
		source = 5;
	if (segment == 0 || segment >= left || is_cut) {
		expect(source, meaning->from, piece);
		return;
	}
	for (; left > 0; left -= piece.len, piece.at += piece.len) {
		piece.len = segment < left ? segment : left;
		expect(source, meaning->from, piece);
	}
}

/*
 * Source and number of control messages, length, fill; then the control
 * messages.
 */
static void
next_message(struct mmsghdr *message)
{
	struct msghdr *header = &message->msg_hdr;
	char *data = header->msg_iov->iov_base;
	unsigned kind = take(1), len = take(2);
	/* Most are short: the slow version is slow. */
	struct piece piece = { .len = len % 5 == 0 ? len : len % 1024 };
	int source = (int)(kind % SOURCES);
	struct sockaddr_in address = address_of(source);
	struct meaning meaning = { 0 };

	piece.fill = (uint8_t)take(1);
	ensure(header->msg_iov->iov_len >= piece.len);
	for (size_t i = 0; i < piece.len; i++)
		data[i] = byte_at(piece.fill, i);
	message->msg_len = (unsigned)piece.len;
	ensure(header->msg_namelen >= sizeof(address));
	memcpy(header->msg_name, &address, sizeof(address));
	header->msg_namelen = sizeof(address);
	header->msg_flags = kind >= 240 ? MSG_TRUNC : 0;
	add_controls(header, &meaning, kind / SOURCES % 5, piece.len);
	expect_all(source, &meaning, piece, kind >= 240);
}

int
recvmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, int flags,
    struct timespec *tmo)
{
	eventfd_t value;
	unsigned n = 0;

	(void)flags;
	(void)tmo;
	errno = EAGAIN;
	if (!world.is_ready)
		return -1;
	unsigned most = take(1) % 64 + 1;
	while (n < vlen && n < most && world.script < world.end)
		next_message(&vmessages[n++]);
	if (n > 0)
		return (int)n;
	eventfd_read(fd, &value);
	world.is_ready = false;
	sem_post(&world.done);
	errno = EAGAIN;
	return -1;
}

/* The next reply that is sent, or that is lost by is_lost. */
static void
get(const struct msghdr *header, const char *data, size_t len, in_addr_t from)
{
	ensure(world.got_count < world.expected_count);
	const struct reply *reply = &world.expected[world.got_count++];
	struct sockaddr_in to = address_of(reply->source);

	ensure(header->msg_namelen == sizeof(to) &&
	       memcmp(header->msg_name, &to, sizeof(to)) == 0);
	ensure(from == reply->from);
	ensure(len == STAMP_LEN + reply->piece.len);
	ensure(memcmp(data, STAMP, STAMP_LEN) == 0);
	ensure(equals(&reply->piece, data + STAMP_LEN));
}

/* What the control messages of a reply say; nothing else is allowed there. */
static struct meaning
read_controls(const struct msghdr *header)
{
	struct msghdr copy = *header;
	struct meaning meaning = { 0 };
	struct in_pktinfo info;
	uint16_t segment;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL;
	     at = CMSG_NXTHDR(&copy, at)) {
		if (at->cmsg_level == IPPROTO_UDP) {
			ensure(at->cmsg_type == UDP_SEGMENT);
			memcpy(&segment, CMSG_DATA(at), sizeof(segment));
			meaning.segment = segment;
		} else {
			ensure(at->cmsg_level == IPPROTO_IP &&
			       at->cmsg_type == IP_PKTINFO);
			memcpy(&info, CMSG_DATA(at), sizeof(info));
			meaning.from = info.ipi_spec_dst.s_addr;
			ensure(info.ipi_ifindex == 0);
		}
	}
	return meaning;
}

/* Takes the replies in one header; returns their bytes. */
static size_t
get_all(const struct msghdr *header)
{
	struct meaning meaning = read_controls(header);
	const char *data = header->msg_iov->iov_base;
	size_t left = header->msg_iov->iov_len, count = 0;
	size_t len = (size_t)meaning.segment;

	ensure(header->msg_iovlen == 1 && left <= REPLY_MAX);
	if (len == 0) {
		get(header, data, left, meaning.from);
		return left;
	}
	for (size_t n; left > 0; data += n, left -= n, count++) {
		n = left < len ? left : len;
		get(header, data, n, meaning.from);
	}
	ensure(count > 0 && count <= 64);
	return header->msg_iov->iov_len;
}

static bool
fails(void)
{
	errno = world.send_problem;
	return world.send_problem != 0 && ++world.sends % 3 == 0;
}

/* The kernel sends the first rows; a row that fails ends the call. */
int
sendmmsg(int fd, struct mmsghdr *vmessages, unsigned vlen, int flags)
{
	unsigned n = 0;

	(void)fd;
	(void)flags;
	ensure(vlen > 0);
	for (; n < vlen && !fails(); n++)
		vmessages[n].msg_len = (unsigned)get_all(&vmessages[n].msg_hdr);
	if (n > 0)
		return (int)n;
	/* Where the kernel can't take them apart, segments are sent singly. */
	if (read_controls(&vmessages[0].msg_hdr).segment == 0 ||
	    world.send_problem != EINVAL)
		get_all(&vmessages[0].msg_hdr);
	errno = world.send_problem;
	return -1;
}

ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	(void)fd;
	(void)flags;
	ensure(read_controls(message).segment == 0);
	return (ssize_t)get_all(message);
}

/* That of SO_TIMESTAMPNS: the thread has no socket. */
int
setsockopt(int fd, int level, int optname, const void *optval, socklen_t optlen)
{
	(void)fd;
	ensure(level == SOL_SOCKET && optname == SO_TIMESTAMPNS);
	ensure(optval != NULL && optlen == sizeof(int));
	return 0;
}

static void
end(void)
{
	struct counters counters = { 0 };

	datagram_order_end(world.thread);
	datagram_join(world.thread, &counters);
}

static void
begin(const struct datagram_settings *settings)
{
	world.fd = eventfd(0, 0);
	sem_init(&world.done, 0, 0);
	world.thread = datagram_start(0, world.fd, PROTOCOL_UDP, settings,
	    world.fd);
	ensure(world.fd != -1 && world.thread != NULL);
	atexit(end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int sizes[] = { 1400, 65480, 100, 1 };
	static const int problems[] = { 0, EINVAL, EPERM, 0 };
	static const uint16_t ports[] = { OWN_PORT };
	struct datagram_settings settings = { .ports = ports, .port_count = 1 };
	struct stamp_format format;

	if (size > INPUT_MAX)
		return 0;
	world.run++;
	world.script = data;
	world.end = data + size;
	world.expected_count = world.got_count = world.sends = 0;
	memset(world.sources, 0, sizeof(world.sources));
	unsigned kind = take(1);
	settings.arrival = kind >> 4 & 1;
	settings.max_datagram = world.max_datagram = sizes[kind & 3];
	world.send_problem = problems[kind >> 2 & 3];
	ensure(stamp_format_compile(&format, "%%", NULL, 0) == 0);
	stamp_init(&settings.stamp, &format);
	if (world.thread == NULL)
		begin(&settings);
	ensure(datagram_configure(world.thread, &settings) == 0);
	world.is_ready = true;
	ensure(eventfd_write(world.fd, 1) == 0);
	while (sem_wait(&world.done) == -1)
		;
	ensure(world.script == world.end);
	ensure(world.got_count == world.expected_count);
	return 0;
}
