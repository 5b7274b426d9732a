#include "timestampc/ping.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"
#include "timestampc/ping_output.h"
#include "timestampc/prober.h"

#define PAYLOAD_DEFAULT 64
#define RECORD_MAX 64512 /* no listener takes longer records */
/* What a server drops if its configuration has only defaults. */
#define SERVER_DATAGRAM_MAX 1400
#define SERVER_RATE_NS 1000000
#define SERVER_LEAST_PORT 1024

/* At a slower pace hardly a server drops datagrams. */
#define LIMITED_PACE_NS 1000000000
/* So many gaps between replies, in so many messages, with so many losses. */
#define LIMITED_GAPS 3
#define LIMITED_SPAN 100
#define LIMITED_PART 5 /* one of so many is lost */

/* At most this part of an interval, and so long, is awake to be on time. */
#define LEAD_DIVISOR 50
#define LEAD_MAX_NS 2000000

/* Losses that are close together. */
struct losses {
	uint64_t first, last; /* numbers of messages; 0: none */
	uint64_t count, gaps;
	bool hinted; /* at a limit of the server */
};

struct ping {
	const struct client_options *options;
	struct ping_account *account;
	struct prober prober;
	struct ping_output output;
	struct losses losses;
	int signals; /* a signalfd */
	bool needs_summary;
	bool has_ended;
	int status;                 /* of the exit, if it is known already */
	int64_t began_ns, asked_ns; /* CLOCK_BOOTTIME; asked: last, 0: never */
};

static int64_t
read_clock(struct ping *ping)
{
	return prober_now(&ping->prober).mono_ns;
}

static void
end(struct ping *ping, int status)
{
	ping->has_ended = true;
	ping->status = status;
}

/* The first signal leaves the output -W, the second none.  Prints nothing. */
static void
take_signal(void *argument)
{
	struct ping *ping = argument;
	struct ping_output *output = &ping->output;
	struct signalfd_siginfo signal;

	if (read(ping->signals, &signal, sizeof(signal)) != sizeof(signal))
		return;
	if (signal.ssi_signo == SIGQUIT) {
		ping->needs_summary = true;
		return;
	}
	output->end_ms = output->end_ms == UINT64_MAX
	                   ? clock_ms() + ping->options->wait_ns / 1000000
	                   : 0;
	if (!ping->has_ended)
		end(ping, EXIT_SUCCESS);
}

static void
summarize(struct ping *ping)
{
	ping->needs_summary = false;
	ping->account->elapsed_ns = read_clock(ping) - ping->began_ns;
	ping_report_summary(ping->account);
}

/* Whether more is to be asked, at the moment now_ns of CLOCK_BOOTTIME. */
static bool
may_ask(const struct ping *ping, int64_t now_ns)
{
	const struct client_options *options = ping->options;

	return (options->count == 0 ||
		   ping->account->probes.sent < options->count) &&
	       (options->duration_ns == 0 ||
		   now_ns - ping->began_ns < (int64_t)options->duration_ns);
}

/* The moment of CLOCK_BOOTTIME; INT64_MAX: not before something is heard. */
static int64_t
find_next_ask(const struct ping *ping)
{
	const struct client_options *options = ping->options;
	const struct ping_account *account = ping->account;
	int64_t interval_ns = (int64_t)options->interval_ns;

	if (ping->prober.unsent > 0)
		return INT64_MAX;
	if (ping->asked_ns == 0)
		return ping->began_ns;
	if (options->adaptive && probes_awaited(&account->probes) > 0)
		return INT64_MAX;
	if (options->adaptive)
		return ping->asked_ns +
		       (options->has_interval ? interval_ns : 0);
	return offset_next_ns(&account->offset,
		   ping->asked_ns + interval_ns + ping->prober.watch.ahead_ns,
		   interval_ns / 2, account->rtt.min_ns / 2) -
	       ping->prober.watch.ahead_ns;
}

/*
 * How long to be awake before a question whose moment matters: a process that
 * has slept is late by more than a round trip.
 */
static int64_t
find_lead(const struct ping *ping)
{
	const struct ping_account *account = ping->account;
	int64_t lead_ns = (int64_t)ping->options->interval_ns / LEAD_DIVISOR;

	if (ping->options->adaptive || !account->offset.known ||
	    account->offset.resolution_ns <= account->rtt.min_ns)
		return 0;
	return lead_ns < LEAD_MAX_NS ? lead_ns : LEAD_MAX_NS;
}

/* When there is something to do that nothing announces. */
static int64_t
find_deadline(struct ping *ping, int64_t now_ns)
{
	const struct client_options *options = ping->options;
	struct probe *oldest = probes_oldest(&ping->account->probes);
	int64_t at_ns = INT64_MAX, other_ns;

	if (oldest != NULL)
		at_ns = oldest->asked_mono_ns + (int64_t)options->wait_ns;
	if (!may_ask(ping, now_ns))
		return at_ns;
	other_ns = find_next_ask(ping) - find_lead(ping);
	if (other_ns < at_ns)
		at_ns = other_ns;
	other_ns = ping->began_ns + (int64_t)options->duration_ns;
	return options->duration_ns > 0 && other_ns < at_ns ? other_ns : at_ns;
}

/* Waits for input, for signals, or until at_ns, and takes what there is. */
static void
await(struct ping *ping, int64_t at_ns)
{
	struct pollfd fds[2] = { { ping->signals, POLLIN, 0 },
		{ ping->prober.connection.fd, POLLIN, 0 } };
	int64_t left_ns = at_ns - read_clock(ping);
	struct timespec timeout = { 0 };

	if (left_ns > 0)
		timeout = (struct timespec){ left_ns / 1000000000,
			(long)(left_ns % 1000000000) };
	if (ping->prober.unsent > 0)
		fds[1].events |= POLLOUT;
	if (ppoll(fds, 2, at_ns == INT64_MAX ? NULL : &timeout, NULL) <= 0)
		return;
	if (fds[0].revents != 0)
		take_signal(ping);
	if (fds[1].revents != 0 &&
	    prober_take(&ping->prober, fds[1].revents) == -1)
		end(ping, EX_PROTOCOL);
}

/* Whether a message may be one that a limit of the server drops. */
static bool
may_be_limited(const struct ping *ping)
{
	const struct client_options *options = ping->options;

	return options->target.protocol == PROTOCOL_UDP && !options->quiet &&
	       !options->adaptive && options->interval_ns >= SERVER_RATE_NS &&
	       options->interval_ns < LIMITED_PACE_NS &&
	       !sockaddr_is_loopback(&ping->prober.connection.peer);
}

/*
 * Replies again and again between losses are the sign of a limit; a server that
 * is away leaves one gap.  What is faster or adaptive was warned of before.
 */
static void
note_loss(struct ping *ping, uint64_t number)
{
	struct losses *losses = &ping->losses;

	if (losses->hinted || !may_be_limited(ping))
		return;
	if (losses->count == 0 || number - losses->first > LIMITED_SPAN)
		*losses = (struct losses){ .first = number };
	losses->gaps += number != losses->last + 1;
	losses->count++;
	losses->last = number;
	if (losses->gaps < LIMITED_GAPS ||
	    losses->count * LIMITED_PART < number - losses->first)
		return;
	losses->hinted = true;
	fputs("timestampc: the server may limit replies: udp.rate_limit\n",
	    stderr);
}

static void
expire(struct ping *ping, int64_t now_ns)
{
	struct ping_account *account = ping->account;
	struct probe *lost;

	while ((lost = probes_expire(&account->probes,
		    now_ns - (int64_t)ping->options->wait_ns)) != NULL) {
		ping_report_lost(account, lost->number);
		note_loss(ping, lost->number);
		prober_give_up(&ping->prober, lost->number);
	}
}

static void
run(struct ping *ping)
{
	while (!ping->has_ended) {
		int64_t now_ns = read_clock(ping);

		expire(ping, now_ns);
		if (!may_ask(ping, now_ns)) {
			if (probes_awaited(&ping->account->probes) == 0)
				return;
		} else if (find_next_ask(ping) - find_lead(ping) <= now_ns) {
			while (read_clock(ping) < find_next_ask(ping))
				;
			ping->asked_ns = prober_ask(&ping->prober);
		}
		if (ping->needs_summary)
			summarize(ping);
		if (ping_output_flush(&ping->output) == -1)
			end(ping, EX_IOERR);
		if (!ping->has_ended && !ping->needs_summary)
			await(ping, find_deadline(ping, now_ns));
	}
}

/* Says in advance what would look like loss. */
static void
warn(const struct ping *ping)
{
	const struct client_options *options = ping->options;
	bool is_udp = options->target.protocol == PROTOCOL_UDP;
	struct sockaddr_any own = { .len = sizeof(own.storage) };

	if (protocol_is_datagram(options->target.protocol) &&
	    ping->prober.message_bytes > SERVER_DATAGRAM_MAX)
		fprintf(stderr,
		    "timestampc: warning: a server drops datagrams "
		    "of more than %d bytes, unless its "
		    "max_datagram is set\n",
		    SERVER_DATAGRAM_MAX);
	if (is_udp && !sockaddr_is_loopback(&ping->prober.connection.peer) &&
	    (options->adaptive || options->interval_ns < SERVER_RATE_NS))
		fprintf(stderr,
		    "timestampc: warning: a server answers %d "
		    "datagrams a second, unless its udp.rate_limit "
		    "is set\n",
		    1000000000 / SERVER_RATE_NS);
	if (is_udp &&
	    getsockname(ping->prober.connection.fd, &own.any, &own.len) == 0 &&
	    sockaddr_port(&own) < SERVER_LEAST_PORT)
		fprintf(stderr,
		    "timestampc: warning: a server does not answer "
		    "port %d, nor any below %d\n",
		    sockaddr_port(&own), SERVER_LEAST_PORT);
}

/* -1 after a complaint. */
static int
take_signals(struct ping *ping)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	ping->signals = signals_open(numbers,
	    sizeof(numbers) / sizeof(numbers[0]));
	if (ping->signals == -1)
		perror("timestampc: signalfd");
	return ping->signals == -1 ? -1 : 0;
}

/* The exit status after all has been asked. */
static int
finish(struct ping *ping)
{
	struct ping_account *account = ping->account;
	bool has_reply = account->probes.received > 0;

	if (ping->status == 0)
		summarize(ping);
	if (ping->status != EX_IOERR && ping_output_flush(&ping->output) == -1)
		ping->status = EX_IOERR;
	if (ping->status != 0)
		return ping->status;
	if (!has_reply)
		fputs("timestampc: no reply\n", stderr);
	return ping_report_limits(account) > 0 || !has_reply ? EXIT_FAILURE
	                                                     : EXIT_SUCCESS;
}

/* Returns the exit status. */
static int
measure(struct ping *ping)
{
	int status = prober_open(&ping->prober,
	    ping->options->wait_ns / 1000000);

	if (status != 0)
		return status;
	if (!ping->options->quiet)
		warn(ping);
	if (take_signals(ping) == -1)
		return EX_OSERR;
	/* Questions have their moment: do not join timers. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	if (ping_output_open(&ping->output, ping->signals, take_signal, ping) ==
	    -1) {
		perror("timestampc");
		return EX_OSERR;
	}
	ping->began_ns = read_clock(ping);
	ping_report_start(ping->account, ping->prober.message_bytes,
	    prober_times_by_kernel(&ping->prober));
	run(ping);
	status = finish(ping);
	ping_output_close(&ping->output);
	close(ping->signals);
	return status;
}

/* The size of a message; 0 after a complaint. */
static size_t
find_size(const struct client_options *options)
{
	size_t bytes = options->payload_bytes;

	if (bytes == 0)
		return PAYLOAD_DEFAULT;
	if (protocol_socket_type(options->target.protocol) == SOCK_STREAM ||
	    bytes <= RECORD_MAX)
		return bytes;
	fprintf(stderr, "timestampc: -l %zu: needs %d bytes at most\n", bytes,
	    RECORD_MAX);
	return 0;
}

int
ping_run(const struct client_options *options)
{
	struct ping ping = { .options = options };
	size_t bytes = find_size(options);
	int status = EX_OSERR;

	if (bytes == 0)
		return EX_USAGE;
	ping.account = calloc(1, sizeof(*ping.account));
	if (ping.account == NULL) {
		perror("timestampc");
		return EX_OSERR;
	}
	ping.account->options = options;
	if (prober_init(&ping.prober, ping.account, bytes) == 0) {
		status = measure(&ping);
		prober_end(&ping.prober);
	}
	free(ping.account);
	return status;
}
