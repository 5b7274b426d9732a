#include "timestampc/prober.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "ping/timestamping.h"

#define RECEIVE_SIZE 65536
#define TCP_PACKET 500 /* a message of so many bytes is one packet */
/* How long a new attempt to connect may hold up the rest. */
#define RECONNECT_MS 1000

static bool
is_stream(const struct prober *prober)
{
	return protocol_socket_type(prober->options->target.protocol) ==
	       SOCK_STREAM;
}

struct clock_moment
prober_now(struct prober *prober)
{
	int64_t step_ns;
	struct clock_moment now = clock_watch_read(&prober->watch, &step_ns);

	if (step_ns != 0) {
		offset_shift(&prober->account->offset, step_ns,
		    2 * prober->watch.error_ns);
		ping_report_event(prober->account, PING_CLOCK_SET, step_ns);
	}
	return now;
}

/* Says a problem that may come with each message once, until it changes. */
static void
complain(struct prober *prober, const char *problem)
{
	if (strcmp(problem, prober->complaint) == 0)
		return;
	snprintf(prober->complaint, sizeof(prober->complaint), "%s", problem);
	fprintf(stderr, "timestampc: %s\n", problem);
}

/* Whether UDP has addresses that may answer where this one does not. */
static bool
has_others(const struct prober *prober)
{
	return prober->connection.addresses > 1 && !prober->has_stamp;
}

/* The next probe goes to the next address. */
static void
pass_over(struct prober *prober)
{
	prober->connection.skip++;
	connection_close(&prober->connection);
}

/* The same of a call with a datagram that has set errno. */
static void
complain_of_call(struct prober *prober)
{
	char problem[sizeof(prober->complaint)];

	if (has_others(prober) &&
	    prober->connection.skip >= prober->connection.addresses)
		return; /* each address has had its turn */
	snprintf(problem, sizeof(problem), "%s: %s", prober->peer,
	    strerror(errno));
	complain(prober, problem);
}

int
prober_open(struct prober *prober, uint64_t wait_ms)
{
	enum protocol protocol = prober->options->target.protocol;
	struct connection *connection = &prober->connection;
	int status = connection_open(connection, &prober->options->target,
	    clock_ms() + wait_ms);

	if (status != 0) {
		complain(prober, connection->problem);
		return status;
	}
	/* Of addresses that take turns each has complained once. */
	if (!has_others(prober))
		prober->complaint[0] = '\0';
	prober->first = prober->account->probes.sent + 1;
	prober->key = 0;
	prober->unsent = prober->line.len = 0;
	prober->is_timed = !protocol_is_unix(protocol) &&
	                   timestamping_enable(connection->fd) == 0;
	sockaddr_text(&connection->peer, false, prober->peer,
	    sizeof(prober->peer));
	return 0;
}

static void
lose_connection(struct prober *prober, const char *problem)
{
	fprintf(stderr, "timestampc: connection lost: %s\n", problem);
	connection_close(&prober->connection);
	prober->unsent = 0;
}

/* A Unix socket may have chosen its name while the server was slow. */
void
prober_give_up(struct prober *prober, uint64_t number)
{
	struct ping_account *account = prober->account;

	if (prober->unsent > 0 && number == account->probes.sent)
		lose_connection(prober, "the server reads no more");
	else if (prober->connection.fd == -1 || number < prober->first ||
		 number < account->probes.highest)
		return;
	else if (has_others(prober) ||
		 prober->options->target.protocol == PROTOCOL_UNIX_DGRAM)
		pass_over(prober);
}

/* Takes the times at which the kernel has sent. */
static void
take_sent_times(struct prober *prober)
{
	int64_t sent_ns;
	uint32_t key;

	while (prober->is_timed &&
	       timestamping_sent(prober->connection.fd, &key, &sent_ns)) {
		struct probe *probe = probes_find_key(&prober->account->probes,
		    key);
		struct clock_moment now = prober_now(prober);

		if (probe == NULL || !probe->has_key || probe->is_timed ||
		    probe->steps != prober->watch.steps ||
		    sent_ns < probe->asked_ns || sent_ns > now.real_ns)
			continue;
		probe->sent_ns = sent_ns;
		probe->is_timed = true;
	}
}

/*
 * A message was not sent: kernels differ in whether it has taken a key.  Counts
 * again from 0; messages under way keep the times that they have.
 */
static void
restart_keys(struct prober *prober)
{
	if (!prober->is_timed)
		return;
	take_sent_times(prober);
	probes_drop_keys(&prober->account->probes);
	prober->key = 0;
	if (timestamping_restart(prober->connection.fd) == -1)
		lose_connection(prober, strerror(errno));
}

/* Sends what is left of the message. */
static void
send_rest(struct prober *prober)
{
	const char *from = prober->message + prober->message_bytes -
	                   prober->unsent;
	ssize_t n = TEMP_FAILURE_RETRY(send(prober->connection.fd, from,
	    prober->unsent, MSG_DONTWAIT | MSG_NOSIGNAL));

	if (n == -1 && errno == EAGAIN && is_stream(prober))
		return;
	if (n >= 0 && is_stream(prober)) {
		prober->unsent -= (size_t)n;
		return;
	}
	prober->unsent = 0;
	if (n == -1 &&
	    (is_stream(prober) || errno == EPIPE || errno == ECONNRESET)) {
		lose_connection(prober, strerror(errno));
	} else if (n == -1) { /* a datagram that gets no reply */
		complain_of_call(prober);
		restart_keys(prober);
		if (has_others(prober))
			pass_over(prober);
	}
}

bool
prober_times_by_kernel(const struct prober *prober)
{
	return prober->is_timed &&
	       (!is_stream(prober) || prober->message_bytes <= TCP_PACKET);
}

/*
 * Whether the kernel's time will be that of the first byte: of a message that
 * goes as several TCP packets it is that of the last.
 */
static bool
is_one_packet(const struct prober *prober)
{
	int unsent_bytes;

	return !is_stream(prober) ||
	       (ioctl(prober->connection.fd, SIOCOUTQNSD, &unsent_bytes) == 0 &&
		   unsent_bytes == 0);
}

int64_t
prober_ask(struct prober *prober)
{
	if (prober->connection.fd == -1)
		prober_open(prober, RECONNECT_MS);
	prober->is_timed &= prober->connection.fd != -1;
	struct clock_moment now = prober_now(prober);
	struct probe *probe = probes_add(&prober->account->probes);

	probe->asked_ns = probe->sent_ns = now.real_ns;
	probe->asked_mono_ns = now.mono_ns;
	probe->steps = prober->watch.steps;
	prober->key += is_stream(prober) ? (uint32_t)prober->message_bytes : 1;
	probe->key = prober->key - 1;
	probe->has_key = prober_times_by_kernel(prober) &&
	                 is_one_packet(prober);
	if (prober->connection.fd == -1)
		return now.mono_ns;
	payload_write(prober->message, prober->message_bytes, prober->id,
	    probe->number);
	prober->unsent = prober->message_bytes;
	send_rest(prober);
	return now.mono_ns;
}

static void
add_offset(struct ping_account *account, const struct ping_reply *reply)
{
	const struct stamp_reading *stamp = &reply->payload.reading;
	int64_t gap_ns, middle_ns = stamp->at_ns + stamp->resolution_ns / 2;
	enum offset_fit fit = offset_add(&account->offset, reply->sent_ns,
	    reply->received_ns, stamp, &gap_ns);

	if (fit == OFFSET_NEW_ZONE)
		ping_report_event(account, PING_NEW_ZONE,
		    account->offset.zone_ns);
	else if (fit != OFFSET_FITS)
		ping_report_event(account,
		    fit == OFFSET_STEP ? PING_SERVER_CLOCK_SET : PING_DRIFT,
		    gap_ns);
	if (!ping_report_has_one_way(account, reply))
		return;
	middle_ns -= account->options->offset_ns;
	rtt_add(&account->there, middle_ns - reply->sent_ns);
	rtt_add(&account->back, reply->received_ns - middle_ns);
}

/* received_ns: by the kernel, 0 if it tells none. */
static void
measure(struct prober *prober, const struct probe *probe,
    struct ping_reply *reply, int64_t received_ns)
{
	struct clock_moment now = prober_now(prober);
	bool has_time = received_ns >= probe->sent_ns &&
	                received_ns <= now.real_ns;

	reply->sent_ns = probe->sent_ns;
	reply->received_ns = has_time ? received_ns : now.real_ns;
	reply->rtt_ns = reply->received_ns - reply->sent_ns;
	reply->is_timed = has_time && probe->is_timed;
	if (probe->steps == prober->watch.steps)
		return;
	/* Our clock was set meanwhile: its times do not compare. */
	reply->received_ns = now.real_ns;
	reply->rtt_ns = now.mono_ns - probe->asked_mono_ns;
	reply->is_timed = false;
	reply->payload.has_reading = false;
}

static void
take_reply(struct prober *prober, const struct payload_reply *payload,
    int64_t received_ns)
{
	struct ping_account *account = prober->account;
	struct ping_reply reply = { .payload = *payload };
	struct probe *probe;

	reply.is_reordered = payload->number < account->probes.highest;
	reply.kind = probes_answer(&account->probes, payload->number, &probe);
	if (reply.kind == PROBE_REPLY_UNKNOWN)
		return;
	measure(prober, probe, &reply, received_ns);
	if (reply.kind == PROBE_REPLY_DUPLICATE) {
		reply.is_reordered = false;
	} else {
		rtt_add(&account->rtt, reply.rtt_ns);
		account->timed += reply.is_timed;
		if (reply.payload.has_reading)
			add_offset(account, &reply);
	}
	ping_report_reply(account, &reply);
	prober->complaint[0] = '\0';
}

/* Takes what was received: a record, or any part of a stream. */
static void
take_input(struct prober *prober, size_t len, int64_t received_ns)
{
	struct payload_text text = { prober->input, len };
	struct payload_reply reply;
	enum payload_kind kind;

	while (text.len > 0 && !prober->is_foreign) {
		if (is_stream(prober)) {
			kind = payload_take(&prober->line, prober->id, &text,
			    &reply);
		} else {
			kind = payload_read(prober->id, text.bytes, len,
			    &reply);
			text.len = 0;
		}
		prober->has_stamp |= kind == PAYLOAD_STAMPED;
		if (kind == PAYLOAD_STAMPED ||
		    (kind == PAYLOAD_BARE && prober->has_stamp &&
			is_stream(prober))) {
			take_reply(prober, &reply, received_ns);
		} else if (kind != PAYLOAD_PART && !prober->has_stamp) {
			fprintf(stderr,
			    "timestampc: %s: a reply that is not "
			    "[stamp] data\n",
			    prober->peer);
			prober->is_foreign = true;
		}
	}
}

static void
receive(struct prober *prober)
{
	int fd = prober->connection.fd;
	int64_t received_ns;
	ssize_t n;

	while ((n = timestamping_receive(fd, prober->input, RECEIVE_SIZE,
		    &received_ns)) > 0) {
		take_sent_times(prober);
		take_input(prober, (size_t)n, received_ns);
		if (prober->is_foreign)
			return;
	}
	if (protocol_is_datagram(prober->options->target.protocol)) {
		if (n == -1 && errno != EAGAIN) {
			complain_of_call(prober);
			if (has_others(prober))
				pass_over(prober);
		}
	} else if (n == 0) {
		lose_connection(prober, "the server closed it");
	} else if (errno != EAGAIN) {
		lose_connection(prober, strerror(errno));
	}
}

int
prober_take(struct prober *prober, short events)
{
	if (events & POLLOUT)
		send_rest(prober);
	if (events & POLLERR && prober->connection.fd != -1)
		take_sent_times(prober);
	if (events & ~POLLOUT && prober->connection.fd != -1)
		receive(prober);
	return prober->is_foreign ? -1 : 0;
}

int
prober_init(struct prober *prober, struct ping_account *account,
    size_t message_bytes)
{
	*prober = (struct prober){ .account = account,
		.options = account->options,
		.connection.fd = -1,
		.message_bytes = message_bytes };
	prober->message = malloc(message_bytes);
	prober->input = malloc(RECEIVE_SIZE);
	if (prober->message == NULL || prober->input == NULL ||
	    getrandom(&prober->id, sizeof(prober->id), 0) !=
		sizeof(prober->id)) {
		fprintf(stderr, "timestampc: %s\n", strerror(errno));
		prober_end(prober);
		return -1;
	}
	clock_watch_init(&prober->watch);
	account->peer = prober->peer;
	return 0;
}

void
prober_end(struct prober *prober)
{
	connection_close(&prober->connection);
	free(prober->message);
	free(prober->input);
}
