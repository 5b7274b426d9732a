#include "timestampc/pipe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "timestampc/account.h"
#include "timestampc/carrier.h"
#include "timestampc/output.h"
#include "timestampc/printer.h"
#include "timestampc/reply.h"
#include "timestampc/window.h"

/* More at once leaves the caches of the processor. */
#define PIECE_BYTES (256 * 1024)
#define RESEND_MIN_MS 500
#define RESEND_MAX_MS 5000
#define GOES_ON (-1)

enum { SIGNALS, INPUT, OUTPUT, SERVER, DIALED, FD_COUNT };

struct pipe {
	const struct client_options *options;
	struct window window;
	struct account account;
	struct reply reply;
	struct output output;
	struct printer printer;
	struct carrier carrier;
	struct pollfd fds[FD_COUNT];
	uint64_t now_ms;
	char *data; /* what was received: at_len to data_len is not read yet */
	size_t data_at, data_len;
	bool input_ended, stopping;
	bool is_full;     /* the socket: wait until it is writable */
	bool cannot_send; /* what the server sent before may still come */
	uint64_t stop_ms;
	uint64_t resend_ms, resend_after_ms; /* datagrams */
	int status;                          /* GOES_ON, or the exit status */
};

static bool
has_datagrams(const struct pipe *pipe)
{
	return protocol_is_datagram(pipe->options->target.protocol);
}

/* What was read and is not answered. */
static const char *
unanswered(const struct pipe *pipe)
{
	return window_at(&pipe->window, pipe->account.answered);
}

static void
fail(struct pipe *pipe, int status, const char *what)
{
	if (what != NULL)
		fprintf(stderr, "timestampc: %s\n", what);
	pipe->status = status;
}

static void
fail_errno(struct pipe *pipe, int status, const char *where)
{
	fprintf(stderr, "timestampc: %s: %s\n", where, strerror(errno));
	pipe->status = status;
}

static void
lose(struct pipe *pipe, const char *reason)
{
	carrier_lose(&pipe->carrier, reason, pipe->now_ms);
	account_lost(&pipe->account);
	pipe->data_at = pipe->data_len = 0;
	if (pipe->account.answered == pipe->account.whole)
		carrier_good(&pipe->carrier);
}

static void
write_output(struct pipe *pipe)
{
	if (output_write(&pipe->output) == -1) {
		if (errno != EPIPE)
			fail_errno(pipe, EX_IOERR, "output");
		pipe->status = EX_IOERR;
	} else if (!output_pending(&pipe->output)) {
		window_release(&pipe->window, pipe->account.answered);
	}
}

static void
answer(struct pipe *pipe, size_t lines_len)
{
	account_answered(&pipe->account, lines_len);
	carrier_good(&pipe->carrier);
}

/* Prints a reply that was read by itself. */
static void
print(struct pipe *pipe, struct framing_text stamp, struct framing_text line)
{
	int status = printer_add(&pipe->printer, stamp, line,
	    account_late_ms(&pipe->account));

	if (status != 0)
		pipe->status = status;
	if (pipe->reply.pieces && pipe->account.pace != ACCOUNT_ONE) {
		account_slow_down(&pipe->account);
		if (!pipe->options->quiet)
			fprintf(stderr, "timestampc: the server stamps pieces "
					"of data, not lines: sending line by "
					"line; framing = \"line\" is faster\n");
	}
	answer(pipe, line.len);
}

/* As many replies as need no change; false: there are none. */
static bool
read_plain(struct pipe *pipe)
{
	struct framing_text data = { pipe->data + pipe->data_at,
		pipe->data_len - pipe->data_at };
	struct framing_text lines = { unanswered(pipe),
		(size_t)(pipe->account.sent - pipe->account.answered) };

	if (!printer_is_plain(&pipe->printer, account_late_ms(&pipe->account)))
		return false;
	struct reply_run run = reply_run(&pipe->reply, data, lines);
	if (run.consumed == 0)
		return false;
	data.len = run.consumed;
	output_borrow(&pipe->output, data);
	pipe->data_at += run.consumed;
	answer(pipe, run.lines_len);
	return true;
}

/* One reply of any form; false: it is not whole. */
static bool
read_one(struct pipe *pipe)
{
	struct framing_text data = { pipe->data + pipe->data_at,
		pipe->data_len - pipe->data_at };
	struct framing_text line = { unanswered(pipe),
		account_line(&pipe->account, unanswered(pipe)) };
	struct reply_found found;
	enum reply_kind kind = REPLY_FOREIGN;

	if (data.len == 0)
		return false;
	if (pipe->account.answered < pipe->account.sent)
		kind = reply_next(&pipe->reply, data, line, &found);
	if (kind == REPLY_FOREIGN) {
		fail(pipe, EX_PROTOCOL,
		    "this is not a timestamp server: a reply is not [stamp] "
		    "and the line");
		return false;
	}
	pipe->data_at += found.consumed;
	if (kind == REPLY_WHOLE)
		print(pipe, found.stamp, line);
	return kind == REPLY_WHOLE;
}

/* Replies that need a change; false: there is no further whole one. */
static bool
read_some(struct pipe *pipe)
{
	while (read_one(pipe)) {
		if (pipe->status != GOES_ON || pipe->output.len >= PIECE_BYTES)
			return true;
		if (!pipe->reply.pieces && printer_is_plain(&pipe->printer,
					       account_late_ms(&pipe->account)))
			return true;
	}
	return false;
}

/* Whether nothing is left to write. */
static bool
flush(struct pipe *pipe)
{
	if (output_pending(&pipe->output))
		write_output(pipe);
	return !output_pending(&pipe->output);
}

/* Reads what was received as far as its output is taken. */
static void
read_replies(struct pipe *pipe)
{
	bool more = true;

	while (flush(pipe) && more && pipe->status == GOES_ON)
		more = read_plain(pipe) || read_some(pipe);
}

/* A datagram is a whole reply, or an earlier one once more, or foreign. */
static void
read_datagram(struct pipe *pipe)
{
	struct framing_text data = { pipe->data, pipe->data_len };
	struct framing_text line = { unanswered(pipe),
		account_line(&pipe->account, unanswered(pipe)) };
	struct reply_found found;
	enum reply_kind kind;

	pipe->data_at = pipe->data_len = 0;
	if (pipe->account.answered == pipe->account.sent)
		return;
	reply_reset(&pipe->reply);
	kind = reply_next(&pipe->reply, data, line, &found);
	if (kind == REPLY_WHOLE && found.consumed == data.len)
		print(pipe, found.stamp, line);
	else if (kind == REPLY_PART)
		fail(pipe, EX_PROTOCOL, "a reply has only a part of its line");
	else if (data.len == 0 || data.bytes[0] != '[')
		fail(pipe, EX_PROTOCOL,
		    "this is not a timestamp server: a reply is not [stamp] "
		    "and the line");
	flush(pipe);
}

static void
receive(struct pipe *pipe)
{
	size_t left = pipe->data_len - pipe->data_at;

	memmove(pipe->data, pipe->data + pipe->data_at, left);
	pipe->data_at = 0;
	pipe->data_len = left;
	ssize_t n = TEMP_FAILURE_RETRY(recv(pipe->carrier.fd, pipe->data + left,
	    2 * PIECE_BYTES - left, MSG_DONTWAIT));
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1 || (n == 0 && !has_datagrams(pipe))) {
		lose(pipe, n == 0 ? "closed by the server" : strerror(errno));
		return;
	}
	pipe->data_len += (size_t)n;
	if (has_datagrams(pipe))
		read_datagram(pipe);
	else
		read_replies(pipe);
}

/* A lost connection is noticed by what is received last. */
static void
note_send_error(struct pipe *pipe)
{
	if (errno == EAGAIN || errno == ENOBUFS)
		return;
	if (errno == EMSGSIZE)
		fail(pipe, EX_TEMPFAIL, "a line is too long for this socket");
	else if (has_datagrams(pipe))
		lose(pipe, strerror(errno));
	else
		pipe->cannot_send = true;
}

static void
send_lines(struct pipe *pipe)
{
	struct account *account = &pipe->account;
	size_t len = account_sendable(account, unanswered(pipe));

	if (pipe->carrier.fd == -1 || pipe->cannot_send || pipe->is_full ||
	    len == 0)
		return;
	if (account->sent == account->answered) {
		pipe->reply.alone = true;
		pipe->resend_after_ms = RESEND_MIN_MS;
		pipe->resend_ms = pipe->now_ms + RESEND_MIN_MS;
	}
	ssize_t n = TEMP_FAILURE_RETRY(
	    send(pipe->carrier.fd, window_at(&pipe->window, account->sent), len,
		MSG_DONTWAIT | MSG_NOSIGNAL));
	if (n == -1)
		note_send_error(pipe);
	else
		account_sent(account, (size_t)n);
	pipe->is_full = n < (ssize_t)len;
}

/* A datagram or its reply may be lost. */
static void
send_again(struct pipe *pipe)
{
	struct account *account = &pipe->account;
	size_t len = (size_t)(account->sent - account->answered);

	carrier_trouble(&pipe->carrier, "no reply", pipe->now_ms);
	account_lost(account);
	account_connected(account, pipe->now_ms);
	pipe->resend_after_ms *= 2;
	if (pipe->resend_after_ms > RESEND_MAX_MS)
		pipe->resend_after_ms = RESEND_MAX_MS;
	pipe->resend_ms = pipe->now_ms + pipe->resend_after_ms;
	if (send(pipe->carrier.fd, unanswered(pipe), len,
		MSG_DONTWAIT | MSG_NOSIGNAL) == -1)
		note_send_error(pipe);
	else
		account_sent(account, len);
}

static void
end_input(struct pipe *pipe)
{
	pipe->input_ended = true;
	account_read_end(&pipe->account);
}

static void
read_input(struct pipe *pipe)
{
	char *to = window_at(&pipe->window, pipe->account.end);
	size_t room = window_room(&pipe->window);
	ssize_t n = TEMP_FAILURE_RETRY(
	    read(STDIN_FILENO, to, room < PIECE_BYTES ? room : PIECE_BYTES));

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1)
		fprintf(stderr, "timestampc: input: %s\n", strerror(errno));
	if (n <= 0) {
		end_input(pipe);
		return;
	}
	window_add(&pipe->window, (size_t)n);
	account_read(&pipe->account, (struct framing_text){ to, (size_t)n },
	    pipe->now_ms);
	/* A line that is longer than the window has to be kept whole. */
	if (window_room(&pipe->window) == 0 &&
	    pipe->account.whole <= pipe->window.begin &&
	    window_grow(&pipe->window) == -1)
		fail_errno(pipe, EX_OSERR, "no room for a line");
}

static void
take_connection(struct pipe *pipe)
{
	int status = carrier_take(&pipe->carrier, pipe->now_ms);

	if (status != 0)
		pipe->status = status;
	if (pipe->carrier.fd == -1)
		return;
	pipe->cannot_send = pipe->is_full = false;
	reply_reset(&pipe->reply);
	account_connected(&pipe->account, pipe->now_ms);
}

/* The first signal awaits the replies, the second one nothing. */
static void
take_signal(struct pipe *pipe)
{
	struct signalfd_siginfo info;

	if (read(pipe->fds[SIGNALS].fd, &info, sizeof(info)) == -1)
		return;
	if (pipe->stopping)
		pipe->status = EX_TEMPFAIL;
	pipe->stopping = true;
	pipe->stop_ms = pipe->now_ms + pipe->options->wait_ns / 1000000;
	end_input(pipe);
}

static bool
has_lines(const struct pipe *pipe)
{
	return pipe->account.answered < pipe->account.whole;
}

static bool
awaits_datagram(const struct pipe *pipe)
{
	return has_datagrams(pipe) && pipe->carrier.fd != -1 &&
	       pipe->account.answered < pipe->account.sent;
}

static bool
needs_connection(const struct pipe *pipe)
{
	return pipe->carrier.fd == -1 && !pipe->carrier.dial.busy &&
	       (has_lines(pipe) || !pipe->carrier.ever);
}

static void
choose_events(struct pipe *pipe)
{
	bool pending = output_pending(&pipe->output);
	struct pollfd *server = &pipe->fds[SERVER];

	pipe->fds[INPUT].fd = pipe->input_ended ||
	                              window_room(&pipe->window) == 0
	                        ? -1
	                        : STDIN_FILENO;
	pipe->fds[OUTPUT].fd = pending ? pipe->output.fd : -1;
	pipe->fds[DIALED].fd = pipe->carrier.dial.busy
	                         ? pipe->carrier.dial.event
	                         : -1;
	server->events = (short)((pending ? 0 : POLLIN) |
				 (pipe->is_full && !pipe->cannot_send ? POLLOUT
								      : 0));
	server->fd = server->events == 0 ? -1 : pipe->carrier.fd;
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
	uint64_t until = carrier_end_ms(&pipe->carrier);

	if (pipe->stopping)
		until = min(until, pipe->stop_ms);
	if (needs_connection(pipe))
		until = min(until, pipe->carrier.retry_ms);
	if (awaits_datagram(pipe))
		until = min(until, pipe->resend_ms);
	if (until == UINT64_MAX)
		return -1;
	uint64_t now_ms = clock_ms();
	return until <= now_ms ? 0 : (int)min(until - now_ms, 1000000);
}

static void
handle_events(struct pipe *pipe)
{
	const struct pollfd *fds = pipe->fds;

	if (fds[SIGNALS].revents != 0)
		take_signal(pipe);
	if (fds[DIALED].revents != 0)
		take_connection(pipe);
	if (fds[SERVER].revents & POLLOUT)
		pipe->is_full = false;
	if (fds[SERVER].revents & (POLLIN | POLLHUP | POLLERR) &&
	    !output_pending(&pipe->output))
		receive(pipe);
	if (fds[OUTPUT].revents != 0)
		read_replies(pipe);
	if (fds[INPUT].revents != 0)
		read_input(pipe);
}

static void
give_up(struct pipe *pipe, int status)
{
	const char *line = unanswered(pipe);
	size_t len = (size_t)(pipe->account.end - pipe->account.answered);
	size_t lines = len > 0 && line[len - 1] != '\n';

	for (size_t i = 0; i < len; i++)
		lines += line[i] == '\n';
	fprintf(stderr, "timestampc: gave up with %zu lines left%s%s\n", lines,
	    pipe->window.path == NULL ? "" : ", which are kept in ",
	    pipe->window.path == NULL ? "" : pipe->window.path);
	pipe->status = status;
}

/* What the time and the state of things demand. */
static void
go_on(struct pipe *pipe)
{
	struct carrier *carrier = &pipe->carrier;

	if (pipe->status != GOES_ON)
		return;
	if (pipe->input_ended && pipe->account.answered == pipe->account.end &&
	    !output_pending(&pipe->output))
		pipe->status = EXIT_SUCCESS;
	else if (pipe->stopping && pipe->now_ms >= pipe->stop_ms)
		give_up(pipe, EX_TEMPFAIL);
	else if (pipe->now_ms >= carrier_end_ms(carrier))
		give_up(pipe,
		    carrier->ever ? EX_TEMPFAIL : carrier->dial.status);
	else if (awaits_datagram(pipe) && pipe->now_ms >= pipe->resend_ms)
		send_again(pipe);
	else if (needs_connection(pipe) &&
		 carrier_connect(carrier, pipe->now_ms) == -1)
		fail_errno(pipe, EX_OSERR, "connect");
	if (pipe->status == GOES_ON)
		send_lines(pipe);
}

static int
run(struct pipe *pipe)
{
	pipe->now_ms = clock_ms();
	go_on(pipe);
	while (pipe->status == GOES_ON) {
		choose_events(pipe);
		if (poll(pipe->fds, FD_COUNT, timeout(pipe)) == -1 &&
		    errno != EINTR) {
			fail_errno(pipe, EX_OSERR, "poll");
			break;
		}
		pipe->now_ms = clock_ms();
		handle_events(pipe);
		go_on(pipe);
	}
	return pipe->status;
}

/* Lines that an earlier process left in the spool may have gone already. */
static void
take_spool(struct pipe *pipe)
{
	struct account *account = &pipe->account;
	size_t len = (size_t)(pipe->window.end - pipe->window.begin);
	int64_t age_s = time(NULL) - window_saved_at(&pipe->window);

	if (len == 0)
		return;
	account_read(account, (struct framing_text){ unanswered(pipe), len },
	    pipe->now_ms - (uint64_t)(age_s > 0 ? age_s : 0) * 1000);
	account_sent(account, len);
	account_lost(account);
}

static int
open_window(struct pipe *pipe)
{
	const char *path = pipe->options->spool;
	int type = protocol_socket_type(pipe->options->target.protocol);

	if (window_open(&pipe->window, pipe->options->window_bytes, path) ==
	    -1) {
		fprintf(stderr, "timestampc: %s: %s\n",
		    path == NULL ? "memory" : path,
		    errno == EWOULDBLOCK ? "another process uses it"
		    : errno == EINVAL    ? "not a file of lines by -S"
					 : strerror(errno));
		return path == NULL ? EX_OSERR : EX_IOERR;
	}
	account_init(&pipe->account,
	    type == SOCK_STREAM ? ACCOUNT_TWO : ACCOUNT_ONE,
	    pipe->window.begin);
	take_spool(pipe);
	return 0;
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
set_up(struct pipe *pipe, const struct client_options *options)
{
	pipe->options = options;
	pipe->status = GOES_ON;
	pipe->now_ms = clock_ms();
	pipe->data = malloc(2 * PIECE_BYTES);
	for (size_t i = 0; i < FD_COUNT; i++)
		pipe->fds[i].events = POLLIN;
	pipe->fds[OUTPUT].events = POLLOUT;
	pipe->fds[SIGNALS].fd = open_signals();
	if (pipe->data == NULL || pipe->fds[SIGNALS].fd == -1 ||
	    carrier_init(&pipe->carrier, options) == -1) {
		perror("timestampc");
		return EX_OSERR;
	}
	output_init(&pipe->output, STDOUT_FILENO);
	pipe->printer = (struct printer){ .options = options,
		.output = &pipe->output };
	return open_window(pipe);
}

int
pipe_run(const struct client_options *options)
{
	struct pipe *pipe = calloc(1, sizeof(*pipe));
	int status = EX_OSERR;

	if (pipe == NULL)
		return status;
	status = set_up(pipe, options);
	if (status == 0) {
		status = run(pipe);
		window_close(&pipe->window);
	}
	output_free(&pipe->output);
	free(pipe->data);
	carrier_free(&pipe->carrier);
	/* An attempt that goes on in its thread still needs it. */
	if (!pipe->carrier.dial.busy)
		free(pipe);
	return status;
}
