/*
 * A datagram on its way: answer_batch receives it with others; admit decides
 * whether it is answered; answer_request or answer_segments puts the stamp in
 * front; send_batch_flush sends the replies.  A UDP reply has the source
 * address that cmsg_read_request leaves in the request's control messages.
 */
#include "datagram/datagram.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
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
#include "datagram/loop.h"
#include "datagram/ratelimit.h"
#include "datagram/send_batch.h"
#include "datagram/unix_peer.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"
#include "net/sockopt.h"
#include "stamp/framing.h"

#define BATCH UNIX_PEER_MAX
#define RECEIVED_MAX 65536       /* larger than any datagram or GRO buffer */
#define PRIVILEGED_PORT_END 1024 /* echo, daytime, chargen, DNS, NTP ... */
#define DRAIN_BATCHES_MAX 1024
#define DRAIN_ERRORS_MAX 5 /* in a row */
#define ERROR_PAUSE_MS 100

/* One datagram as received, or several of one client that came as one (GRO). */
struct request {
	struct sockaddr_any source;
	struct cmsg_request info;
	const struct drop *refusal; /* of all of them; NULL: none */
	bool is_limited;            /* by the rate of its source */
	uint32_t admitted;          /* datagrams of it that are answered */
	struct loop_run run;
	struct iovec piece;
	_Alignas(struct cmsghdr) char control[CMSG_UDP_MAX];
	char bytes[STAMP_TEXT_MAX + RECEIVED_MAX];
};

struct datagram_thread {
	/* Both threads. */
	_Atomic(struct datagram_settings *) next_settings;
	_Atomic bool stop;
	_Atomic bool is_pinged; /* the loop has not run since */
	_Atomic bool ended;
	int wake_fd; /* eventfd: the main thread has changed one of these */
	int done_fd; /* eventfd: how many threads have ended */
	struct counters counters;

	/* The main thread. */
	pthread_t id;
	char name[16];

	/* The datagram thread. */
	int fd;
	enum protocol protocol;
	struct datagram_settings *settings;
	bool arrival; /* the kernel says when datagrams arrived */
	struct stamp stamp;
	struct ratelimit limit;
	struct loop_table *loops; /* NULL: no UDP */
	int errors_in_a_row;
	_Atomic uint64_t logged_ms; /* when an error was logged; 0: never */
	struct unix_peer peers;
	struct timespec now; /* when the batch was received */
	uint64_t now_ms;
	const char *text; /* of the stamp for the current datagram */
	size_t text_len;
	struct mmsghdr in[BATCH]; /* from here on not zeroed at the start */
	struct request requests[BATCH];
	struct send_batch replies;
};

/* Why a datagram is dropped. */
struct drop {
	enum counter counter;
	const char *text;
};

static const struct drop
    drop_port = { COUNTER_DROPPED_PORT, "address never answered" },
    drop_denied = { COUNTER_DROPPED_DENIED, "denied by the lists" },
    drop_send = { COUNTER_DROPPED_SEND, "can't be answered" },
    drop_abstract = { COUNTER_DROPPED_ABSTRACT,
	    "abstract name; see abstract_clients" },
    drop_unnamed = { COUNTER_DROPPED_UNNAMED, "client without name" },
    drop_rate = { COUNTER_DROPPED_RATE, "over the rate limit" },
    drop_loop = { COUNTER_DROPPED_LOOP, "may be in a loop" },
    drop_oversize = { COUNTER_DROPPED_OVERSIZE, "over max_datagram" };

static void
settings_free(struct datagram_settings *settings)
{
	if (settings != NULL)
		access_release(settings->access);
	free(settings);
}

static void
take_settings(struct datagram_thread *thread)
{
	struct datagram_settings *old = thread->settings, *next;

	if (thread->next_settings == NULL)
		return;
	next = atomic_exchange(&thread->next_settings, NULL);
	thread->settings = next;
	thread->stamp = next->stamp;
	ratelimit_configure(&thread->limit, next->rate_limit, next->rate_burst);
	/* Always the first time: an inherited socket may differ. */
	if ((old == NULL || thread->arrival != next->arrival) &&
	    sockopt_set(thread->fd, SOL_SOCKET, SO_TIMESTAMPNS,
		next->arrival) == 0)
		thread->arrival = next->arrival;
	settings_free(old);
}

static void
prepare(struct datagram_thread *thread, int count)
{
	size_t control_len = CMSG_UDP_MAX;

	if (thread->protocol == PROTOCOL_UNIX_DGRAM)
		control_len = CMSG_UNIX_MAX +
		              (thread->arrival ? CMSG_ARRIVAL_SPACE : 0);
	for (int i = 0; i < count; i++) {
		struct request *request = &thread->requests[i];
		/* The kernel does not write it if a Unix client has no name. */
		request->source.any.sa_family = AF_UNIX;
		request->piece.iov_base = request->bytes + STAMP_TEXT_MAX;
		request->piece.iov_len = RECEIVED_MAX;
		thread->in[i].msg_hdr = (struct msghdr){
			.msg_name = &request->source.storage,
			.msg_namelen = sizeof(request->source.storage),
			.msg_iov = &request->piece,
			.msg_iovlen = 1,
			.msg_control = request->control,
			.msg_controllen = control_len,
		};
	}
}

static bool
is_own_port(const struct datagram_thread *thread, uint16_t port)
{
	const struct datagram_settings *settings = thread->settings;

	for (size_t i = 0; i < settings->port_count; i++)
		if (settings->ports[i] == port)
			return true;
	return false;
}

/* A reply is sent only to a socket that the sender owns. */
static const struct drop *
find_unix_drop(struct datagram_thread *thread, struct request *request)
{
	if (request->source.len <= offsetof(struct sockaddr_un, sun_path))
		return &drop_unnamed;
	if (unix_peer_is_abstract(&request->source) &&
	    !thread->settings->abstract_clients)
		return &drop_abstract;
	if (unix_peer_hold(&thread->peers, &request->source,
		request->info.sender) == 0)
		return NULL;
	return errno == ENOTSOCK || errno == EREMOTE ? &drop_port : &drop_send;
}

/* Why nothing that came with this UDP message is answered, or NULL. */
static const struct drop *
find_refusal(const struct datagram_thread *thread,
    const struct request *request)
{
	const struct sockaddr_any *source = &request->source;

	if (!access_allows(thread->settings->access, &source->any))
		return &drop_denied;
	if (sockaddr_port(source) < PRIVILEGED_PORT_END ||
	    is_own_port(thread, sockaddr_port(source)) ||
	    sockaddr_is_multicast(source) || request->info.is_to_many)
		return &drop_port;
	return NULL;
}

/* Why a datagram of len bytes is dropped, or NULL: it is answered. */
static const struct drop *
find_drop(struct datagram_thread *thread, struct request *request,
    const char *data, size_t len)
{
	bool is_unix = thread->protocol == PROTOCOL_UNIX_DGRAM;

	if (len > (size_t)thread->settings->max_datagram ||
	    (!is_unix && thread->text_len + len > SEND_BATCH_ROW_MAX))
		return &drop_oversize;
	if (request->refusal != NULL)
		return request->refusal;
	/* The first comparison spares most data the call. */
	if (len > 0 && *data == *thread->text &&
	    loop_is_stamped_twice(thread->text, thread->text_len, data, len))
		return &drop_loop;
	if (is_unix)
		return find_unix_drop(thread, request);
	if (request->is_limited &&
	    !ratelimit_allow(&thread->limit, sockaddr_network(&request->source),
		thread->now_ms))
		return &drop_rate;
	/* What the rate limit drops does not reach the table. */
	if (loop_is_due(thread->loops, &request->run, data, len))
		return &drop_loop;
	return NULL;
}

/*
 * Whether a datagram of len bytes is answered; counts and logs it.  On success
 * a Unix source is replaced by the path of the held file.
 */
static bool
admit(struct datagram_thread *thread, struct request *request, const char *data,
    size_t len)
{
	bool is_logged = log_enabled(LOG_DEBUG);
	/* Clearing it would cost 9 % of the time of a segment. */
	char source[SOCKADDR_TEXT_MAX] __attribute__((uninitialized));

	/* Before find_drop, which replaces the address of a Unix client. */
	if (is_logged)
		sockaddr_text(&request->source, false, source, sizeof(source));
	const struct drop *drop = find_drop(thread, request, data, len);
	if (is_logged) {
		const char *name = protocol_name(thread->protocol);
		struct log_about about = { name, source, NULL };
		log_about(LOG_DEBUG, &about,
		    "%s datagram from %s, %zu bytes: %s%s", name, source, len,
		    drop ? "dropped: " : "answered", drop ? drop->text : "");
	}
	if (drop != NULL)
		counters_add(&thread->counters, drop->counter, 1);
	else
		request->admitted++;
	return drop == NULL;
}

/* Answers each segment as a datagram; returns their number. */
static size_t
answer_segments(struct datagram_thread *thread, int i)
{
	struct request *request = &thread->requests[i];
	const char *data = request->piece.iov_base;
	size_t left = thread->in[i].msg_len, count = 0;
	size_t len = request->info.segment_len;

	send_batch_begin_segments(&thread->replies, &thread->in[i].msg_hdr,
	    thread->text_len + len);
	for (; left > 0; data += len, left -= len, count++) {
		if (len > left)
			len = left;
		if (admit(thread, request, data, len))
			send_batch_add_segment(&thread->replies, thread->text,
			    thread->text_len, data, len);
	}
	if (thread->loops != NULL)
		loop_end(thread->loops, &request->run);
	return count;
}

/* Answers message i of the batch; returns how many datagrams it held. */
static size_t
answer_request(struct datagram_thread *thread, int i)
{
	struct request *request = &thread->requests[i];
	struct msghdr *header = &thread->in[i].msg_hdr;
	const struct cmsg_request *info = &request->info;
	size_t len = thread->in[i].msg_len;

	request->admitted = 0;
	request->source.len = header->msg_namelen;
	cmsg_read_request(header, &request->info);
	request->run = (struct loop_run){ .address = &request->source,
		.now_ms = thread->now_ms };
	request->is_limited = !sockaddr_is_loopback(&request->source);
	request->refusal = thread->protocol == PROTOCOL_UDP
	                     ? find_refusal(thread, request)
	                     : NULL;
	if (thread->arrival)
		thread->text = stamp_at(&thread->stamp,
		    info->has_arrival ? &info->arrived : &thread->now,
		    &thread->text_len);
	/* A truncated message is a single datagram that exceeds every limit. */
	if (info->segment_len != 0 && info->segment_len < len &&
	    (header->msg_flags & MSG_TRUNC) == 0)
		return answer_segments(thread, i);
	if (admit(thread, request, request->piece.iov_base, len)) {
		header->msg_namelen = request->source.len;
		send_batch_add(&thread->replies, header,
		    framing_chunk(request->piece.iov_base, thread->text,
			thread->text_len),
		    thread->text_len + len);
	}
	return 1;
}

/* All of the batch have been sent just now. */
static void
note_delays(struct datagram_thread *thread, int received)
{
	const struct timespec epoch = { 0 };
	uint64_t now_ns = clock_ns_since(&epoch);

	for (int i = 0; i < received; i++) {
		const struct request *request = &thread->requests[i];
		const struct timespec *arrived = &request->info.arrived;
		uint64_t ns = (uint64_t)arrived->tv_sec * 1000000000 +
		              (uint64_t)arrived->tv_nsec;
		if (request->info.has_arrival && request->admitted > 0)
			counters_add_delay(&thread->counters, thread->protocol,
			    now_ns > ns ? now_ns - ns : 0, request->admitted);
	}
}

static void
answer_all(struct datagram_thread *thread, int received)
{
	size_t bytes = 0, messages = 0;

	thread->now_ms = clock_ms();
	clock_gettime(CLOCK_REALTIME, &thread->now);
	thread->text = stamp_at(&thread->stamp, &thread->now,
	    &thread->text_len);
	for (int i = 0; i < received; i++) {
		bytes += thread->in[i].msg_len;
		messages += answer_request(thread, i);
	}
	counters_add_traffic(&thread->counters, thread->protocol,
	    TRAFFIC_BYTES_IN, bytes);
	counters_add_traffic(&thread->counters, thread->protocol,
	    TRAFFIC_MESSAGES_IN, messages);
	send_batch_flush(&thread->replies);
	if (thread->arrival)
		note_delays(thread, received);
	unix_peer_release(&thread->peers);
	prepare(thread, received);
}

/* Waits for a datagram; after errors pauses.  The main thread ends either. */
static void
wait_for_work(struct datagram_thread *thread)
{
	struct pollfd fds[] = {
		{ .fd = thread->wake_fd, .events = POLLIN },
		{ .fd = thread->fd, .events = POLLIN },
	};
	bool pauses = thread->errors_in_a_row > 1;
	eventfd_t count;

	poll(fds, pauses ? 1 : 2, pauses ? ERROR_PAUSE_MS : -1);
	if (fds[0].revents != 0)
		eventfd_read(thread->wake_fd, &count);
}

static void
note_error(struct datagram_thread *thread, int problem)
{
	thread->errors_in_a_row++;
	counters_add(&thread->counters, COUNTER_RECEIVE_ERRORS, 1);
	if (clock_minute_passed(&thread->logged_ms, clock_ms()))
		log_warning("%s: receive: %s", protocol_name(thread->protocol),
		    strerror(problem));
}

/* Answers up to BATCH datagrams; their number, or -1 with errno. */
static int
answer_batch(struct datagram_thread *thread)
{
	bool had_arrival = thread->arrival;
	int n = recvmmsg(thread->fd, thread->in, BATCH, MSG_DONTWAIT, NULL);
	int problem = errno;

	if (thread->is_pinged)
		thread->is_pinged = false;
	take_settings(thread);
	if (n == -1 && problem != EINTR && problem != EAGAIN)
		note_error(thread, problem);
	else
		thread->errors_in_a_row = 0;
	if (n > 0)
		answer_all(thread, n);
	if (thread->arrival != had_arrival)
		prepare(thread, BATCH);
	errno = problem;
	return n;
}

static void *
run(void *arg)
{
	struct datagram_thread *thread = arg;

	pthread_setname_np(pthread_self(), thread->name);
	/* After one datagram there is rarely another: then poll(2) alone costs
	 * less than a recvmmsg(2) that fails and poll(2) after it. */
	while (!thread->stop)
		if (answer_batch(thread) <= 1)
			wait_for_work(thread);
	/* Drain. */
	thread->errors_in_a_row = 0;
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++) {
		if (answer_batch(thread) == -1 &&
		    (errno == EAGAIN ||
			thread->errors_in_a_row == DRAIN_ERRORS_MAX))
			break;
		if (thread->errors_in_a_row > 1)
			wait_for_work(thread);
	}
	thread->ended = true;
	eventfd_write(thread->done_fd, 1);
	return NULL;
}

static void
thread_free(struct datagram_thread *thread)
{
	if (thread->protocol == PROTOCOL_UNIX_DGRAM)
		unix_peer_end(&thread->peers);
	close(thread->wake_fd);
	free(thread->loops);
	settings_free(thread->settings);
	settings_free(thread->next_settings);
	free(thread);
}

static int
set_up(struct datagram_thread *thread, const struct datagram_settings *settings)
{
	uint64_t seed[3 + LOOP_SEEDS];

	thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (thread->wake_fd == -1 ||
	    datagram_configure(thread, settings) == -1 ||
	    getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -1;
	ratelimit_init(&thread->limit, seed);
	/* The kernel maps its pages as sources come. */
	if (thread->protocol == PROTOCOL_UDP) {
		thread->loops = calloc(1, sizeof(*thread->loops));
		if (thread->loops == NULL)
			return -1;
		loop_init(thread->loops, seed + 3);
	}
	if (thread->protocol == PROTOCOL_UNIX_DGRAM)
		unix_peer_init(&thread->peers);
	take_settings(thread);
	prepare(thread, BATCH);
	send_batch_init(&thread->replies, thread->fd, thread->protocol,
	    &thread->counters);
	return 0;
}

struct datagram_thread *
datagram_start(int number, int fd, enum protocol protocol,
    const struct datagram_settings *settings, int done_fd)
{
	struct datagram_thread *thread =
	    aligned_alloc(_Alignof(struct datagram_thread), sizeof(*thread));

	if (thread == NULL)
		return NULL;
	/* Buffers that are not touched cost no memory until they are used. */
	memset(thread, 0, offsetof(struct datagram_thread, in));
	snprintf(thread->name, sizeof(thread->name), "udp-%d", number);
	thread->done_fd = done_fd;
	thread->fd = fd;
	thread->protocol = protocol;
	int rc = set_up(thread, settings) == -1 ? errno : 0;
	if (rc == 0)
		rc = pthread_create(&thread->id, NULL, run, thread);
	if (rc == 0)
		return thread;
	thread_free(thread);
	errno = rc;
	return NULL;
}

int
datagram_configure(struct datagram_thread *thread,
    const struct datagram_settings *settings)
{
	size_t size = settings->port_count * sizeof(settings->ports[0]);
	struct datagram_settings *copy = malloc(sizeof(*copy) + size);

	if (copy == NULL)
		return -1;
	*copy = *settings;
	access_hold(copy->access);
	/* One allocation, so that a single free(3) releases it. */
	copy->ports = (uint16_t *)(copy + 1);
	if (size > 0)
		memcpy(copy + 1, settings->ports, size);
	settings_free(atomic_exchange(&thread->next_settings, copy));
	eventfd_write(thread->wake_fd, 1);
	return 0;
}

void
datagram_ping(struct datagram_thread *thread)
{
	thread->is_pinged = true;
	eventfd_write(thread->wake_fd, 1);
}

bool
datagram_is_responsive(const struct datagram_thread *thread)
{
	return thread->ended || !thread->is_pinged;
}

const struct counters *
datagram_counters(const struct datagram_thread *thread)
{
	return &thread->counters;
}

const char *
datagram_name(const struct datagram_thread *thread)
{
	return thread->name;
}

void
datagram_order_end(struct datagram_thread *thread)
{
	thread->stop = true;
	eventfd_write(thread->wake_fd, 1);
}

bool
datagram_has_ended(const struct datagram_thread *thread)
{
	return thread->ended;
}

void
datagram_join(struct datagram_thread *thread, struct counters *sum)
{
	pthread_join(thread->id, NULL);
	counters_sum(sum, &thread->counters);
	thread_free(thread);
}
