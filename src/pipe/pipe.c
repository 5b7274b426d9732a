#include "pipe/pipe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"
#include "pipe/silence.h"

enum { SIGNALS, INPUT, OUTPUT, SERVER, DIALED, FD_COUNT };

struct pipe {
	struct traffic traffic;
	struct pollfd fds[FD_COUNT];
	int signals; /* a signalfd */
	bool stopping;
	uint64_t stop_ms;
};

static void
fail(struct traffic *traffic, const char *what)
{
	fprintf(stderr, "timestampc: %s: %s\n", what, strerror(errno));
	traffic->status = EX_OSERR;
}

/* The first signal awaits the replies, the second one nothing. */
static void
take_signal(struct pipe *pipe)
{
	struct traffic *traffic = &pipe->traffic;
	struct signalfd_siginfo info;

	if (read(pipe->signals, &info, sizeof(info)) == -1)
		return;
	if (pipe->stopping)
		traffic->status = EX_TEMPFAIL;
	pipe->stopping = true;
	pipe->stop_ms = traffic->now_ms + traffic->options->wait_ns / 1000000;
	traffic_stop_input(traffic);
}

static bool
needs_connection(const struct pipe *pipe)
{
	const struct traffic *traffic = &pipe->traffic;

	return traffic->carrier.fd == -1 && !traffic->carrier.dial.busy &&
	       (traffic->account.answered < traffic->account.whole ||
		   !traffic->carrier.ever);
}

static void
choose_events(struct pipe *pipe)
{
	const struct traffic *traffic = &pipe->traffic;
	bool pending = output_pending(&traffic->output);
	struct pollfd *server = &pipe->fds[SERVER];

	pipe->fds[INPUT].fd = traffic->input_ended || traffic_room(traffic) == 0
	                        ? -1
	                        : STDIN_FILENO;
	pipe->fds[OUTPUT].fd = pending ? traffic->output.fd : -1;
	pipe->fds[DIALED].fd = traffic->carrier.dial.busy
	                         ? traffic->carrier.dial.event
	                         : -1;
	server->events =
	    (short)((pending ? 0 : POLLIN) |
		    (traffic->is_full && !traffic->cannot_send ? POLLOUT : 0));
	server->fd = server->events == 0 ? -1 : traffic->carrier.fd;
}

static uint64_t
min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How long poll(2) may wait; -1: for ever. */
static int
timeout(const struct pipe *pipe)
{
	const struct traffic *traffic = &pipe->traffic;
	uint64_t until = silence_end_ms(traffic);

	until = min(until, silence_begin_ms(traffic));
	if (pipe->stopping)
		until = min(until, pipe->stop_ms);
	if (needs_connection(pipe))
		until = min(until, traffic->carrier.retry_ms);
	if (traffic_awaits_datagram(traffic))
		until = min(until, traffic->resend_ms);
	if (until == UINT64_MAX)
		return -1;
	uint64_t now_ms = clock_ms();
	return until <= now_ms ? 0 : (int)min(until - now_ms, 1000000);
}

static void
handle_events(struct pipe *pipe)
{
	struct traffic *traffic = &pipe->traffic;
	const struct pollfd *fds = pipe->fds;

	if (fds[SIGNALS].revents != 0)
		take_signal(pipe);
	if (fds[DIALED].revents != 0)
		traffic_connected(traffic);
	if (fds[SERVER].revents & POLLOUT)
		traffic->is_full = false;
	if (fds[SERVER].revents & (POLLIN | POLLHUP | POLLERR) &&
	    !output_pending(&traffic->output))
		traffic_receive(traffic);
	if (fds[OUTPUT].revents != 0)
		traffic_write(traffic);
	if (fds[INPUT].revents != 0 && !traffic->input_ended)
		traffic_read_input(traffic);
}

/* Even for an input without lines, an absent server is an error. */
static bool
awaits_first_attempt(const struct pipe *pipe)
{
	const struct carrier *carrier = &pipe->traffic.carrier;

	return carrier->dial.busy && !carrier->ever &&
	       carrier->backoff_ms == 0 && !pipe->stopping;
}

static bool
is_done(const struct pipe *pipe)
{
	const struct traffic *traffic = &pipe->traffic;

	return traffic->input_ended &&
	       traffic->account.answered == traffic->account.whole &&
	       !output_pending(&traffic->output) && !awaits_first_attempt(pipe);
}

/* What the time and the state of things demand. */
static void
go_on(struct pipe *pipe)
{
	struct traffic *traffic = &pipe->traffic;

	if (traffic->status != TRAFFIC_GOES_ON)
		return;
	if (is_done(pipe))
		traffic_end(traffic);
	else if (pipe->stopping && traffic->now_ms >= pipe->stop_ms)
		traffic->status = EX_TEMPFAIL;
	else if (traffic->now_ms >= silence_end_ms(traffic))
		silence_give_up(traffic);
	else if (traffic_awaits_datagram(traffic) &&
		 traffic->now_ms >= traffic->resend_ms)
		traffic_send_again(traffic);
	else if (needs_connection(pipe))
		traffic_connect(traffic);
	if (traffic->status != TRAFFIC_GOES_ON)
		return;
	if (traffic->now_ms >= silence_begin_ms(traffic))
		silence_note(traffic);
	traffic_send(traffic);
}

static int
run(struct pipe *pipe)
{
	struct traffic *traffic = &pipe->traffic;
	struct pollfd *fds = pipe->fds;

	traffic->now_ms = clock_ms();
	go_on(pipe);
	while (traffic->status == TRAFFIC_GOES_ON) {
		choose_events(pipe);
		if (poll(fds, FD_COUNT, timeout(pipe)) == -1 &&
		    errno != EINTR) {
			fail(traffic, "poll");
			break;
		}
		traffic->now_ms = clock_ms();
		handle_events(pipe);
		go_on(pipe);
	}
	if (traffic->status != EXIT_SUCCESS)
		traffic_say_left(traffic);
	return traffic->status;
}

static int
run_all(struct pipe *pipe, const struct client_options *options)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	int status = traffic_init(&pipe->traffic, options);

	for (size_t i = 0; i < FD_COUNT; i++)
		pipe->fds[i].events = POLLIN;
	pipe->fds[OUTPUT].events = POLLOUT;
	pipe->signals = signals_open(numbers,
	    sizeof(numbers) / sizeof(numbers[0]));
	pipe->fds[SIGNALS] = (struct pollfd){ pipe->signals, POLLIN, 0 };
	if (status == 0 && pipe->signals == -1) {
		perror("timestampc");
		status = EX_OSERR;
	}
	if (status == 0)
		status = run(pipe);
	traffic_free(&pipe->traffic);
	close(pipe->signals);
	return status;
}

int
pipe_run(const struct client_options *options)
{
	/* An attempt to connect may go on in its thread, and needs it. */
	static struct pipe pipe;

	return run_all(&pipe, options);
}
