#include "udp.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "clock.h"
#include "config.h"
#include "log.h"
#include "ratelimit.h"

#define BATCH 64
#define UDP_PAYLOAD_MAX 65507
#define PRIVILEGED_PORT_END 1024 /* echo, daytime, chargen, DNS, NTP ... */
#define DRAIN_BATCHES_MAX 1024
#define KICK_MS 20
#define ERROR_PAUSE_MS 100
#define LOG_EVERY_MS 60000 /* of errors between which datagrams arrive */
#define CONTROL_MAX                                                            \
	(CMSG_SPACE(sizeof(struct in6_pktinfo)) +                              \
	    CMSG_SPACE(sizeof(struct in_pktinfo)))

/* The signal that takes a thread out of recvmmsg(2). */
#define KICK_SIGNAL SIGURG

/* One datagram on its way in and out again. */
struct datagram {
	struct address source;
	struct iovec piece;
	_Alignas(struct cmsghdr) char control[CONTROL_MAX];
	char bytes[STAMP_TEXT_MAX + CONFIG_DATAGRAM_MAX];
};

/* The settings as handed over, with their ports. */
struct parcel {
	struct udp_settings settings;
	uint16_t ports[];
};

struct udp {
	/* Both threads. */
	_Atomic(struct parcel *) next_parcel;
	_Atomic bool stop;
	_Atomic bool pinged; /* and the loop has not turned since */
	int done_fd;         /* readable when the thread is about to end */
	struct counters counters;

	/* The main thread. */
	pthread_t thread;

	/* The datagram thread. */
	int number, fd;
	enum protocol protocol;
	struct parcel *parcel;
	struct stamp stamp;
	struct ratelimit limit;
	int errors_in_a_row;
	uint64_t logged_ms; /* when an error last was; 0: never */
	struct mmsghdr in[BATCH], out[BATCH];
	struct datagram datagrams[BATCH];
};

static struct parcel *
pack(const struct udp_settings *settings)
{
	size_t size = settings->port_count * sizeof(settings->ports[0]);
	struct parcel *parcel = malloc(sizeof(*parcel) + size);

	if (parcel == NULL)
		return NULL;
	parcel->settings = *settings;
	if (size > 0)
		memcpy(parcel->ports, settings->ports, size);
	parcel->settings.ports = parcel->ports;
	return parcel;
}

static void
take_parcel(struct udp *udp)
{
	struct parcel *parcel = atomic_exchange(&udp->next_parcel, NULL);

	if (parcel == NULL)
		return;
	free(udp->parcel);
	udp->parcel = parcel;
	stamp_init(&udp->stamp, &parcel->settings.stamp);
	ratelimit_set(&udp->limit, parcel->settings.rate_limit,
	    parcel->settings.rate_burst);
}

static void
prepare(struct udp *udp, int i)
{
	struct datagram *datagram = &udp->datagrams[i];
	struct msghdr *header = &udp->in[i].msg_hdr;

	/* What the kernel leaves alone when a Unix client has no name. */
	datagram->source.any.sa_family = AF_UNIX;
	datagram->piece.iov_base = datagram->bytes + STAMP_TEXT_MAX;
	datagram->piece.iov_len = CONFIG_DATAGRAM_MAX;
	header->msg_name = &datagram->source.storage;
	header->msg_namelen = sizeof(datagram->source.storage);
	header->msg_iov = &datagram->piece;
	header->msg_iovlen = 1;
	header->msg_control = datagram->control;
	header->msg_controllen = sizeof(datagram->control);
	header->msg_flags = 0;
}

static bool
is_own_port(const struct udp *udp, uint16_t port)
{
	const struct udp_settings *settings = &udp->parcel->settings;

	for (size_t i = 0; i < settings->port_count; i++)
		if (settings->ports[i] == port)
			return true;
	return false;
}

/* Why a datagram gets no reply; COUNTER_EVENTS when it gets one. */
static enum counter
guard(struct udp *udp, const struct mmsghdr *in, const struct address *source,
    size_t reply_len, uint64_t now_ms)
{
	if ((in->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
	    in->msg_len > (unsigned)udp->parcel->settings.max_datagram)
		return COUNTER_DROPPED_OVERSIZE;
	if (udp->protocol == PROTOCOL_UNIX_DGRAM)
		return source->len > offsetof(struct sockaddr_un, sun_path)
		         ? COUNTER_EVENTS
		         : COUNTER_DROPPED_UNNAMED;
	if (reply_len > UDP_PAYLOAD_MAX)
		return COUNTER_DROPPED_OVERSIZE;
	if (address_port(source) < PRIVILEGED_PORT_END ||
	    is_own_port(udp, address_port(source)) ||
	    address_is_multicast(source))
		return COUNTER_DROPPED_PORT;
	if (!address_is_loopback(source) &&
	    !ratelimit_allow(&udp->limit, address_network(source), now_ms))
		return COUNTER_DROPPED_RATE;
	return COUNTER_EVENTS;
}

/*
 * The control data that named the address asked now names the one to answer
 * from; there is no answering from a broadcast address, and the send fails.
 * The route chooses the interface, but for an address that only means something
 * on its own.
 */
static void
clear_interface(struct msghdr *header)
{
	for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at != NULL;
	     at = CMSG_NXTHDR(header, at)) {
		if (at->cmsg_level == IPPROTO_IP) {
			struct in_pktinfo *info = (void *)CMSG_DATA(at);
			info->ipi_ifindex = 0;
			info->ipi_spec_dst = info->ipi_addr;
		} else {
			struct in6_pktinfo *info = (void *)CMSG_DATA(at);
			if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		}
	}
}

static void
log_datagram(const struct udp *udp, const struct address *source, size_t len,
    enum counter verdict)
{
	static const char *const verdicts[] = {
		[COUNTER_DROPPED_PORT] = "dropped: a port never answered",
		[COUNTER_DROPPED_UNNAMED] = "dropped: no address to answer to",
		[COUNTER_DROPPED_RATE] = "dropped: over the rate limit",
		[COUNTER_DROPPED_OVERSIZE] = "dropped: over max_datagram",
		[COUNTER_EVENTS] = "answered",
	};
	char text[ADDRESS_TEXT_MAX];
	struct log_about about = {
		.listener = protocol_name(udp->protocol),
		.peer = address_text(source, false, text, sizeof(text)),
	};

	log_about(LOG_DEBUG, &about, "%s datagram from %s, %zu bytes: %s",
	    about.listener, about.peer, len, verdicts[verdict]);
}

/* Puts the reply to datagram number i into the out row; false: it gets none. */
static bool
reply(struct udp *udp, int i, struct mmsghdr *out, const char *stamp,
    size_t stamp_len, uint64_t now_ms)
{
	struct datagram *datagram = &udp->datagrams[i];
	struct mmsghdr *in = &udp->in[i];
	size_t len = in->msg_len;

	datagram->source.len = in->msg_hdr.msg_namelen;
	enum counter verdict = guard(udp, in, &datagram->source,
	    stamp_len + len, now_ms);
	if (log_enabled(LOG_DEBUG))
		log_datagram(udp, &datagram->source, len, verdict);
	if (verdict != COUNTER_EVENTS) {
		counters_add(&udp->counters, verdict, 1);
		return false;
	}
	datagram->piece.iov_base = framing_chunk(datagram->piece.iov_base,
	    stamp, stamp_len);
	datagram->piece.iov_len = stamp_len + len;
	if (udp->protocol == PROTOCOL_UDP)
		clear_interface(&in->msg_hdr);
	else
		in->msg_hdr.msg_controllen = 0;
	out->msg_hdr = in->msg_hdr;
	out->msg_hdr.msg_flags = 0;
	return true;
}

static void
count(struct udp *udp, enum traffic field, size_t n)
{
	counters_add_traffic(&udp->counters, udp->protocol, field, n);
}

/* A reply that can't be sent is lost; those behind it are not. */
static void
send_all(struct udp *udp, int count_out)
{
	size_t bytes = 0, messages = 0;

	for (int at = 0; at < count_out;) {
		int n = sendmmsg(udp->fd, udp->out + at,
		    (unsigned)(count_out - at), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			for (int i = at; i < at + n; i++)
				bytes += udp->out[i].msg_len;
			messages += (size_t)n;
			at += n;
		} else if (errno != EINTR) {
			counters_add(&udp->counters, COUNTER_DROPPED_SEND, 1);
			at++;
		}
	}
	count(udp, TRAFFIC_BYTES_OUT, bytes);
	count(udp, TRAFFIC_MESSAGES_OUT, messages);
}

static void
answer(struct udp *udp, int received)
{
	struct timespec now;
	size_t stamp_len, bytes = 0;
	int count_out = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	const char *stamp = stamp_at(&udp->stamp, &now, &stamp_len);
	uint64_t now_ms = clock_ms();
	for (int i = 0; i < received; i++) {
		bytes += udp->in[i].msg_len;
		count_out += reply(udp, i, &udp->out[count_out], stamp,
		    stamp_len, now_ms);
	}
	count(udp, TRAFFIC_BYTES_IN, bytes);
	count(udp, TRAFFIC_MESSAGES_IN, (size_t)received);
	send_all(udp, count_out);
	for (int i = 0; i < received; i++)
		prepare(udp, i);
}

static void
note_error(struct udp *udp, int problem)
{
	struct timespec pause = { .tv_nsec = ERROR_PAUSE_MS * 1000000L };

	uint64_t now_ms = clock_ms();

	counters_add(&udp->counters, COUNTER_RECEIVE_ERRORS, 1);
	if (udp->logged_ms == 0 || now_ms - udp->logged_ms >= LOG_EVERY_MS) {
		udp->logged_ms = now_ms;
		log_warning("%s: receive: %s", protocol_name(udp->protocol),
		    strerror(problem));
	}
	if (udp->errors_in_a_row++ > 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* The number of datagrams answered or dropped. */
static int
receive_and_answer(struct udp *udp, int flags)
{
	int n = recvmmsg(udp->fd, udp->in, BATCH, flags, NULL);

	int problem = errno;

	if (udp->pinged)
		udp->pinged = false;
	take_parcel(udp);
	if (n > 0) {
		udp->errors_in_a_row = 0;
		answer(udp, n);
	} else if (n == -1 && problem != EINTR && problem != EAGAIN) {
		note_error(udp, problem);
	}
	return n;
}

static void *
udp_run(void *arg)
{
	struct udp *udp = arg;
	char name[16];
	sigset_t kick;

	snprintf(name, sizeof(name), "udp-%d", udp->number);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	while (!udp->stop)
		receive_and_answer(udp, MSG_WAITFORONE);
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++)
		if (receive_and_answer(udp, MSG_DONTWAIT) <= 0)
			break;
	eventfd_write(udp->done_fd, 1);
	return NULL;
}

static void
udp_free(struct udp *udp)
{
	if (udp->done_fd != -1)
		close(udp->done_fd);
	free(udp->parcel);
	free(udp->next_parcel);
	free(udp);
}

static void
on_kick(int signal_number)
{
	(void)signal_number;
}

static int
set_up(struct udp *udp, const struct udp_settings *settings)
{
	struct sigaction action = { .sa_handler = on_kick };
	uint64_t seed[3];

	udp->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	udp->next_parcel = pack(settings);
	if (udp->done_fd == -1 || udp->next_parcel == NULL)
		return -1;
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -1;
	ratelimit_init(&udp->limit, seed);
	take_parcel(udp);
	for (int i = 0; i < BATCH; i++)
		prepare(udp, i);
	return sigaction(KICK_SIGNAL, &action, NULL);
}

struct udp *
udp_start(int number, int fd, enum protocol protocol,
    const struct udp_settings *settings)
{
	struct udp *udp = aligned_alloc(_Alignof(struct udp), sizeof(*udp));

	if (udp == NULL)
		return NULL;
	/* The buffers stay untouched: they cost no memory until they are used. */
	memset(udp, 0, offsetof(struct udp, in));
	udp->number = number;
	udp->fd = fd;
	udp->protocol = protocol;
	int rc = set_up(udp, settings) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&udp->thread, NULL, udp_run, udp);
	if (rc != 0) {
		udp_free(udp);
		errno = rc;
		return NULL;
	}
	return udp;
}

int
udp_set(struct udp *udp, const struct udp_settings *settings)
{
	struct parcel *parcel = pack(settings);

	if (parcel == NULL)
		return -1;
	free(atomic_exchange(&udp->next_parcel, parcel));
	return 0;
}

void
udp_ping(struct udp *udp)
{
	udp->pinged = true;
	pthread_kill(udp->thread, KICK_SIGNAL);
}

bool
udp_turns(const struct udp *udp)
{
	return !udp->pinged;
}

const struct counters *
udp_counters(const struct udp *udp)
{
	return &udp->counters;
}

void
udp_stop(struct udp *udp, struct counters *sum)
{
	struct pollfd done = { .fd = udp->done_fd, .events = POLLIN };

	udp->stop = true;
	/* A kick between the look at stop and recvmmsg is lost: so again. */
	do
		pthread_kill(udp->thread, KICK_SIGNAL);
	while (poll(&done, 1, KICK_MS) != 1);
	pthread_join(udp->thread, NULL);
	counters_sum(sum, &udp->counters);
	udp_free(udp);
}
