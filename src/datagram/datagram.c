#include "datagram/datagram.h"

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

#include "base/clock.h"
#include "base/log.h"
#include "datagram/burst.h"
#include "datagram/ratelimit.h"
#include "datagram/send_batch.h"
#include "datagram/unix_peer.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"
#include "net/sockopt.h"
#include "stamp/framing.h"

#define BATCH UNIX_PEER_MAX
#define RECEIVED_MAX 65536       /* more than a datagram or a burst can have */
#define PRIVILEGED_PORT_END 1024 /* echo, daytime, chargen, DNS, NTP ... */
#define DRAIN_BATCHES_MAX 1024
#define DRAIN_ERRORS_MAX 5 /* in a row */
#define KICK_MS 20
#define ERROR_PAUSE_MS 100
#define LOG_EVERY_MS 60000 /* of errors between which datagrams arrive */

/* The signal that takes a thread out of recvmmsg(2). */
#define KICK_SIGNAL SIGURG

/* One datagram, or a burst of them, on its way in and out again. */
struct request {
	struct sockaddr_any source;
	uid_t sender; /* of a Unix client */
	bool is_to_many;
	struct iovec piece;
	_Alignas(struct cmsghdr) char control[CMSG_UDP_MAX];
	char bytes[STAMP_TEXT_MAX + RECEIVED_MAX];
};

/* The settings as handed over, with their ports. */
struct parcel {
	struct datagram_settings settings;
	uint16_t ports[];
};

struct datagram {
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
	bool arrival; /* the kernel tells when datagrams arrived */
	struct stamp stamp;
	struct ratelimit limit;
	int errors_in_a_row;
	uint64_t logged_ms; /* when an error last was; 0: never */
	struct mmsghdr in[BATCH];
	struct request datagrams[BATCH];
	struct unix_peer mailbox;
	struct send_batch outbox;
};

/* What holds for the datagrams that were received by one call. */
struct turn {
	struct timespec now;
	uint64_t now_ms;
	const char *stamp;
	size_t stamp_len;
};

static struct parcel *
pack(const struct datagram_settings *settings)
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
take_parcel(struct datagram *udp)
{
	struct parcel *parcel = atomic_exchange(&udp->next_parcel, NULL);

	if (parcel == NULL)
		return;
	/* The socket may have been another's, who wanted it otherwise. */
	bool is_first = udp->parcel == NULL;
	free(udp->parcel);
	udp->parcel = parcel;
	stamp_init(&udp->stamp, &parcel->settings.stamp);
	ratelimit_set(&udp->limit, parcel->settings.rate_limit,
	    parcel->settings.rate_burst);
	if ((is_first || udp->arrival != parcel->settings.arrival) &&
	    sockopt_set_arrival(udp->fd, parcel->settings.arrival) == 0)
		udp->arrival = parcel->settings.arrival;
}

static size_t
control_room(const struct datagram *udp)
{
	if (udp->protocol == PROTOCOL_UDP)
		return CMSG_UDP_MAX;
	return CMSG_UNIX_MAX + (udp->arrival ? CMSG_ARRIVAL_SPACE : 0);
}

static void
prepare(struct datagram *udp, int i)
{
	struct request *datagram = &udp->datagrams[i];
	struct msghdr *header = &udp->in[i].msg_hdr;

	/* What the kernel leaves alone when a Unix client has no name. */
	datagram->source.any.sa_family = AF_UNIX;
	datagram->piece.iov_base = datagram->bytes + STAMP_TEXT_MAX;
	datagram->piece.iov_len = RECEIVED_MAX;
	header->msg_name = &datagram->source.storage;
	header->msg_namelen = sizeof(datagram->source.storage);
	header->msg_iov = &datagram->piece;
	header->msg_iovlen = 1;
	header->msg_control = datagram->control;
	header->msg_controllen = control_room(udp);
	header->msg_flags = 0;
}

static void
prepare_all(struct datagram *udp)
{
	for (int i = 0; i < BATCH; i++)
		prepare(udp, i);
}

static void
set_stamp(struct datagram *udp, struct turn *turn, const struct timespec *when)
{
	turn->stamp = stamp_at(&udp->stamp, when, &turn->stamp_len);
}

static bool
is_own_port(const struct datagram *udp, uint16_t port)
{
	const struct datagram_settings *settings = &udp->parcel->settings;

	for (size_t i = 0; i < settings->port_count; i++)
		if (settings->ports[i] == port)
			return true;
	return false;
}

/* A reply goes to a socket that is the sender's own. */
static enum counter
guard_unix(struct datagram *udp, struct request *datagram)
{
	if (datagram->source.len <= offsetof(struct sockaddr_un, sun_path))
		return COUNTER_DROPPED_UNNAMED;
	if (unix_peer_hold(&udp->mailbox, &datagram->source,
		datagram->sender) == 0)
		return COUNTER_EVENTS;
	return errno == ENOTSOCK ? COUNTER_DROPPED_PORT : COUNTER_DROPPED_SEND;
}

/* Why a datagram gets no reply; COUNTER_EVENTS when it gets one. */
static enum counter
guard(struct datagram *udp, struct request *datagram, size_t len,
    const struct turn *turn)
{
	const struct sockaddr_any *source = &datagram->source;

	if (len > (size_t)udp->parcel->settings.max_datagram)
		return COUNTER_DROPPED_OVERSIZE;
	if (udp->protocol == PROTOCOL_UNIX_DGRAM)
		return guard_unix(udp, datagram);
	if (turn->stamp_len + len > BURST_BYTES_MAX)
		return COUNTER_DROPPED_OVERSIZE;
	if (sockaddr_port(source) < PRIVILEGED_PORT_END ||
	    is_own_port(udp, sockaddr_port(source)) ||
	    sockaddr_is_multicast(source) || datagram->is_to_many)
		return COUNTER_DROPPED_PORT;
	if (!sockaddr_is_loopback(source) &&
	    !ratelimit_allow(&udp->limit, sockaddr_network(source),
		turn->now_ms))
		return COUNTER_DROPPED_RATE;
	return COUNTER_EVENTS;
}

static void
log_datagram(const struct datagram *udp, const struct sockaddr_any *source,
    size_t len, enum counter verdict)
{
	static const char *const verdicts[] = {
		[COUNTER_DROPPED_PORT] =
		    "dropped: a port or address never answered",
		[COUNTER_DROPPED_SEND] = "dropped: can't be answered",
		[COUNTER_DROPPED_UNNAMED] = "dropped: no address to answer to",
		[COUNTER_DROPPED_RATE] = "dropped: over the rate limit",
		[COUNTER_DROPPED_OVERSIZE] = "dropped: over max_datagram",
		[COUNTER_EVENTS] = "answered",
	};
	char text[SOCKADDR_TEXT_MAX];
	struct log_about about = {
		.listener = protocol_name(udp->protocol),
		.peer = sockaddr_text(source, false, text, sizeof(text)),
	};

	log_about(LOG_DEBUG, &about, "%s datagram from %s, %zu bytes: %s",
	    about.listener, about.peer, len, verdicts[verdict]);
}

/*
 * Whether a datagram of len bytes is answered, at its source as that is
 * afterwards; counts those that are not.
 */
static bool
admit(struct datagram *udp, struct request *datagram, size_t len,
    const struct turn *turn)
{
	/* A reload may change the level meanwhile. */
	bool is_shown = log_enabled(LOG_DEBUG);
	struct sockaddr_any source;

	if (is_shown)
		source = datagram->source;
	enum counter verdict = guard(udp, datagram, len, turn);
	if (is_shown)
		log_datagram(udp, &source, len, verdict);
	if (verdict == COUNTER_EVENTS)
		return true;
	counters_add(&udp->counters, verdict, 1);
	return false;
}

/* Each datagram of it is one like any other; the number of them. */
static size_t
answer_burst(struct datagram *udp, int i, size_t segment_len,
    const struct turn *turn)
{
	struct request *datagram = &udp->datagrams[i];
	struct msghdr *header = &udp->in[i].msg_hdr;
	const char *data = datagram->piece.iov_base;
	size_t all = udp->in[i].msg_len;
	size_t reply_len = turn->stamp_len + segment_len;

	/* Of longer ones only the last can be answered, if it is shorter. */
	if (reply_len > BURST_BYTES_MAX)
		reply_len = BURST_BYTES_MAX;
	cmsg_set_segment(header, reply_len);
	send_batch_begin_burst(&udp->outbox, reply_len);
	for (size_t at = 0, len; at < all; at += len) {
		len = burst_segment(all, segment_len, at);
		if (admit(udp, datagram, len, turn))
			send_batch_add_segment(&udp->outbox, header,
			    turn->stamp, turn->stamp_len, data + at, len);
	}
	return burst_count(all, segment_len);
}

/* The number of datagrams that came as number i. */
static size_t
answer_one(struct datagram *udp, int i, struct turn *turn)
{
	struct request *datagram = &udp->datagrams[i];
	struct msghdr *header = &udp->in[i].msg_hdr;
	struct cmsg_request envelope;
	size_t len = udp->in[i].msg_len;

	datagram->source.len = header->msg_namelen;
	cmsg_read_request(header, &envelope);
	datagram->is_to_many = envelope.is_to_many;
	if (udp->arrival)
		set_stamp(udp, turn,
		    envelope.has_arrival ? &envelope.arrived : &turn->now);
	/* One that was cut off is larger than any that is answered. */
	if (envelope.segment_len != 0 && envelope.segment_len < len &&
	    (header->msg_flags & MSG_TRUNC) == 0)
		return answer_burst(udp, i, envelope.segment_len, turn);
	datagram->sender = envelope.sender;
	if (!admit(udp, datagram, len, turn))
		return 1;
	header->msg_namelen = datagram->source.len;
	send_batch_add(&udp->outbox, header,
	    framing_chunk(datagram->piece.iov_base, turn->stamp,
		turn->stamp_len),
	    turn->stamp_len + len);
	return 1;
}

static void
answer(struct datagram *udp, int received)
{
	struct turn turn = { .now_ms = clock_ms() };
	size_t bytes = 0, messages = 0;

	clock_gettime(CLOCK_REALTIME, &turn.now);
	set_stamp(udp, &turn, &turn.now);
	for (int i = 0; i < received; i++) {
		bytes += udp->in[i].msg_len;
		messages += answer_one(udp, i, &turn);
	}
	counters_add_traffic(&udp->counters, udp->protocol, TRAFFIC_BYTES_IN,
	    bytes);
	counters_add_traffic(&udp->counters, udp->protocol, TRAFFIC_MESSAGES_IN,
	    messages);
	send_batch_flush(&udp->outbox);
	unix_peer_release(&udp->mailbox);
	for (int i = 0; i < received; i++)
		prepare(udp, i);
}

static void
note_error(struct datagram *udp, int problem)
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

/* 0, or why nothing was received. */
static int
receive_and_answer(struct datagram *udp, int flags)
{
	int n = recvmmsg(udp->fd, udp->in, BATCH, flags, NULL);
	int problem = errno;
	bool had_arrival = udp->arrival;

	if (udp->pinged)
		udp->pinged = false;
	take_parcel(udp);
	if (n > 0) {
		udp->errors_in_a_row = 0;
		answer(udp, n);
	} else if (n == -1 && problem != EINTR && problem != EAGAIN) {
		note_error(udp, problem);
	}
	if (udp->arrival != had_arrival)
		prepare_all(udp);
	return n > 0 ? 0 : problem;
}

/* Answers what has arrived. */
static void
drain(struct datagram *udp)
{
	udp->errors_in_a_row = 0;
	for (int i = 0;
	     i < DRAIN_BATCHES_MAX && udp->errors_in_a_row < DRAIN_ERRORS_MAX;
	     i++)
		if (receive_and_answer(udp, MSG_DONTWAIT) == EAGAIN)
			break;
}

static void *
datagram_run(void *arg)
{
	struct datagram *udp = arg;
	char name[16];
	sigset_t kick;

	snprintf(name, sizeof(name), "udp-%d", udp->number);
	pthread_setname_np(pthread_self(), name);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	while (!udp->stop)
		receive_and_answer(udp, MSG_WAITFORONE);
	drain(udp);
	eventfd_write(udp->done_fd, 1);
	return NULL;
}

static void
datagram_free(struct datagram *udp)
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
set_up(struct datagram *udp, const struct datagram_settings *settings)
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
	prepare_all(udp);
	unix_peer_init(&udp->mailbox);
	send_batch_init(&udp->outbox, udp->fd, udp->protocol, &udp->counters);
	return sigaction(KICK_SIGNAL, &action, NULL);
}

struct datagram *
datagram_start(int number, int fd, enum protocol protocol,
    const struct datagram_settings *settings)
{
	struct datagram *udp = aligned_alloc(_Alignof(struct datagram),
	    sizeof(*udp));

	if (udp == NULL)
		return NULL;
	/* The buffers stay untouched: they cost no memory until they are used. */
	memset(udp, 0, offsetof(struct datagram, in));
	udp->number = number;
	udp->fd = fd;
	udp->protocol = protocol;
	int rc = set_up(udp, settings) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&udp->thread, NULL, datagram_run, udp);
	if (rc != 0) {
		datagram_free(udp);
		errno = rc;
		return NULL;
	}
	return udp;
}

int
datagram_set(struct datagram *udp, const struct datagram_settings *settings)
{
	struct parcel *parcel = pack(settings);

	if (parcel == NULL)
		return -1;
	free(atomic_exchange(&udp->next_parcel, parcel));
	return 0;
}

void
datagram_ping(struct datagram *udp)
{
	udp->pinged = true;
	pthread_kill(udp->thread, KICK_SIGNAL);
}

bool
datagram_is_responsive(const struct datagram *udp)
{
	return !udp->pinged;
}

const struct counters *
datagram_counters(const struct datagram *udp)
{
	return &udp->counters;
}

void
datagram_stop(struct datagram *udp, struct counters *sum)
{
	struct pollfd done = { .fd = udp->done_fd, .events = POLLIN };

	udp->stop = true;
	/* A kick between the look at stop and recvmmsg is lost: so again. */
	do
		pthread_kill(udp->thread, KICK_SIGNAL);
	while (poll(&done, 1, KICK_MS) != 1);
	pthread_join(udp->thread, NULL);
	counters_sum(sum, &udp->counters);
	datagram_free(udp);
}
