#include "pipe/traffic.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "pipe/intake.h"
#include "pipe/leftover.h"

/* More at once leaves the caches of the processor. */
#define PIECE_BYTES 262144UL
#define RESEND_MIN_MS 500
#define RESEND_MAX_MS 5000
/* Before it a datagram goes again, and an empty one with it. */
#define SILENT_MIN_MS 1000
/* So many datagrams may reach a limit of the server. */
#define LIMITED_MIN 100
/* Any server takes a datagram of so many bytes. */
#define DATAGRAM_SAFE 512
/* timestampd takes a record of so many bytes. */
#define RECORD_SAFE 64512
/* So many refusals are not by chance. */
#define REFUSALS_MAX 5
/* So many foreign replies in a row, over 6 s or more, end the client. */
#define FOREIGN_MAX 8

static bool
has_datagrams(const struct traffic *traffic)
{
	return protocol_is_datagram(traffic->options->target.protocol);
}

/* What was read and is not answered. */
static const char *
unanswered(const struct traffic *traffic)
{
	return window_at(&traffic->window, traffic->account.answered);
}

static int64_t
late_ms(const struct traffic *traffic)
{
	return account_late_ms(&traffic->account, unanswered(traffic));
}

static void
fail(struct traffic *traffic, int status, const char *what)
{
	fprintf(stderr, "timestampc: %s\n", what);
	traffic->status = status;
}

static void
fail_errno(struct traffic *traffic, int status, const char *where)
{
	fprintf(stderr, "timestampc: %s: %s\n", where, strerror(errno));
	traffic->status = status;
}

/* The length of the line that is answered next. */
static size_t
next_line(const struct traffic *traffic)
{
	return account_line(&traffic->account, unanswered(traffic));
}

/* The lines behind it could not go before it: it is better to end. */
static void
give_up_long_line(struct traffic *traffic, const char *why)
{
	fprintf(stderr,
	    "timestampc: line %" PRIu64 " has %zu bytes, %s: use tcp: or "
	    "unix:\n",
	    traffic->replies + 1, next_line(traffic), why);
	traffic->status = EX_TEMPFAIL;
}

static void
note_refusal(struct traffic *traffic)
{
	if (++traffic->refusals == REFUSALS_MAX)
		give_up_long_line(traffic,
		    "and the server answers only shorter ones");
}

static void
lose(struct traffic *traffic, const char *reason)
{
	const struct account *account = &traffic->account;

	if (traffic->options->target.protocol == PROTOCOL_UNIX_SEQPACKET &&
	    account->sent > account->answered &&
	    next_line(traffic) > RECORD_SAFE)
		note_refusal(traffic);
	carrier_lose(&traffic->carrier, reason, traffic->now_ms);
	account_lost(&traffic->account);
	traffic->data_at = traffic->data_len = 0;
	if (traffic->account.answered == traffic->account.whole)
		carrier_recover(&traffic->carrier);
}

/* While there was something to write no reply was received. */
static void
note_written(struct traffic *traffic)
{
	traffic->asked_ms = traffic->now_ms;
	traffic->resend_ms = traffic->now_ms + traffic->resend_after_ms;
	if (traffic->carrier.fd != -1 && traffic->carrier.trouble_ms != 0)
		traffic->carrier.trouble_ms = traffic->now_ms;
}

static void
write_output(struct traffic *traffic)
{
	if (output_write(&traffic->output) == -1) {
		traffic->nobody_reads = errno == EPIPE;
		if (!traffic->nobody_reads)
			fail_errno(traffic, EX_IOERR, "output");
		traffic->status = EX_IOERR;
	} else if (!output_pending(&traffic->output)) {
		window_release(&traffic->window, traffic->account.answered);
		note_written(traffic);
	}
}

static void
answer(struct traffic *traffic, size_t lines_len)
{
	account_answered(&traffic->account, lines_len);
	traffic->replies++;
	traffic->refusals = traffic->foreign = 0;
	traffic->progress = 0;
	traffic->asked_ms = traffic->now_ms;
	carrier_answered(&traffic->carrier, traffic->now_ms);
}

/* Prints a reply that was read by itself; if it cannot, the line stays. */
static void
print(struct traffic *traffic, struct framing_text stamp,
    struct framing_text line)
{
	int status = printer_add(&traffic->printer, stamp, line,
	    late_ms(traffic));

	if (status != 0) {
		traffic->status = status;
		return;
	}
	if (traffic->reply.pieces && traffic->account.pace != ACCOUNT_ONE) {
		account_slow_down(&traffic->account);
		if (!traffic->options->quiet && !traffic->warned)
			fprintf(stderr, "timestampc: the server stamps pieces "
					"of data, not lines: sending line by "
					"line; framing = \"line\" is faster\n");
		traffic->warned = true;
	}
	answer(traffic, line.len);
}

/* As many replies as need no change; false: there are none. */
static bool
read_plain(struct traffic *traffic)
{
	struct framing_text data = { traffic->data + traffic->data_at,
		traffic->data_len - traffic->data_at };
	struct framing_text lines = { unanswered(traffic),
		(size_t)(traffic->account.sent - traffic->account.answered) };

	if (!printer_is_plain(&traffic->printer, late_ms(traffic)))
		return false;
	struct reply_run run = reply_run(&traffic->reply, data, lines);
	if (run.consumed == 0)
		return false;
	data.len = run.consumed;
	output_borrow(&traffic->output, data);
	traffic->data_at += run.consumed;
	answer(traffic, run.lines_len);
	return true;
}

/*
 * A server that has answered before may be down, and something else answer at
 * its address for a moment, such as a proxy.
 */
static void
note_foreign(struct traffic *traffic)
{
	if (traffic->replies == 0 || ++traffic->foreign == FOREIGN_MAX) {
		fail(traffic, EX_PROTOCOL, REPLY_FOREIGN_TEXT);
		return;
	}
	lose(traffic, REPLY_FOREIGN_TEXT);
	carrier_trouble(&traffic->carrier, REPLY_FOREIGN_TEXT, traffic->now_ms,
	    traffic->now_ms);
}

/* One reply of any form; false: it is not whole. */
static bool
read_one(struct traffic *traffic)
{
	struct framing_text data = { traffic->data + traffic->data_at,
		traffic->data_len - traffic->data_at };
	struct framing_text line = { unanswered(traffic),
		account_line(&traffic->account, unanswered(traffic)) };
	struct reply_found found;
	enum reply_kind kind = REPLY_FOREIGN;

	if (data.len == 0)
		return false;
	if (traffic->account.answered < traffic->account.sent)
		kind = reply_next(&traffic->reply, data, line, &found);
	if (kind == REPLY_FOREIGN) {
		note_foreign(traffic);
		return false;
	}
	traffic->data_at += found.consumed;
	if (kind == REPLY_WHOLE)
		print(traffic, found.stamp, line);
	return kind == REPLY_WHOLE;
}

/* Replies that need a change; false: the next one has not come whole. */
static bool
read_some(struct traffic *traffic)
{
	while (read_one(traffic)) {
		if (traffic->status != TRAFFIC_GOES_ON ||
		    traffic->output.len >= PIECE_BYTES)
			return true;
		if (!traffic->reply.pieces &&
		    printer_is_plain(&traffic->printer, late_ms(traffic)))
			return true;
	}
	return false;
}

/* Whether nothing is left to write. */
static bool
flush(struct traffic *traffic)
{
	if (output_pending(&traffic->output))
		write_output(traffic);
	return !output_pending(&traffic->output);
}

void
traffic_write(struct traffic *traffic)
{
	bool more = true;

	while (flush(traffic) && more && traffic->status == TRAFFIC_GOES_ON)
		more = read_plain(traffic) || read_some(traffic);
}

/* A datagram is a whole reply, or an earlier one once more, or foreign. */
static void
read_datagram(struct traffic *traffic)
{
	struct framing_text data = { traffic->data, traffic->data_len };
	struct framing_text line = { unanswered(traffic),
		account_line(&traffic->account, unanswered(traffic)) };
	struct reply_found found;
	enum reply_kind kind;

	traffic->data_at = traffic->data_len = 0;
	if (traffic->account.answered == traffic->account.sent)
		return;
	if (traffic->probed && reply_is_bare(data)) {
		if (next_line(traffic) > DATAGRAM_SAFE) {
			note_refusal(traffic);
			traffic->asked_ms = traffic->now_ms;
			traffic->resend_ms = traffic->now_ms + RESEND_MIN_MS;
		}
		return;
	}
	reply_reset(&traffic->reply);
	kind = reply_next(&traffic->reply, data, line, &found);
	if (kind == REPLY_WHOLE && found.consumed == data.len)
		print(traffic, found.stamp, line);
	else if (kind == REPLY_PART)
		fail(traffic, EX_PROTOCOL,
		    "a reply has only a part of its line");
	else if (traffic->replies == 0 &&
		 (data.len == 0 || data.bytes[0] != '['))
		fail(traffic, EX_PROTOCOL, REPLY_FOREIGN_TEXT);
	flush(traffic);
}

void
traffic_receive(struct traffic *traffic)
{
	size_t left = traffic->data_len - traffic->data_at;

	memmove(traffic->data, traffic->data + traffic->data_at, left);
	traffic->data_at = 0;
	traffic->data_len = left;
	ssize_t n = TEMP_FAILURE_RETRY(recv(traffic->carrier.fd,
	    traffic->data + left, 2 * PIECE_BYTES - left, MSG_DONTWAIT));
	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1 || (n == 0 && !has_datagrams(traffic))) {
		lose(traffic,
		    n == 0 ? "closed by the server" : strerror(errno));
		return;
	}
	traffic->data_len += (size_t)n;
	if (has_datagrams(traffic))
		read_datagram(traffic);
	else
		traffic_write(traffic);
}

/* What a stream's server sent before is received first, then the end. */
static void
note_send_error(struct traffic *traffic)
{
	char why[80];

	if (errno == EAGAIN)
		return;
	if (errno == EMSGSIZE) {
		snprintf(why, sizeof(why), "and one to %s may have at most %zu",
		    protocol_name(traffic->options->target.protocol),
		    connection_largest(&traffic->carrier.dial.connection));
		give_up_long_line(traffic, why);
	} else if (has_datagrams(traffic)) {
		lose(traffic, strerror(errno));
	} else {
		traffic->cannot_send = true;
		shutdown(traffic->carrier.fd, SHUT_RDWR);
	}
}

/* A datagram that finds no buffer counts as sent and lost: it goes again. */
static ssize_t
send_bytes(struct traffic *traffic, struct framing_text bytes)
{
	ssize_t n = TEMP_FAILURE_RETRY(send(traffic->carrier.fd, bytes.bytes,
	    bytes.len, MSG_DONTWAIT | MSG_NOSIGNAL));

	return n == -1 && errno == ENOBUFS && has_datagrams(traffic)
	         ? (ssize_t)bytes.len
	         : n;
}

void
traffic_send(struct traffic *traffic)
{
	struct account *account = &traffic->account;
	size_t len = account_sendable(account, unanswered(traffic));

	if (traffic->carrier.fd == -1 || traffic->cannot_send ||
	    traffic->is_full || len == 0)
		return;
	if (account->sent == account->answered) {
		traffic->reply.alone = true;
		traffic->asked_ms = account->sent_ms = traffic->now_ms;
		traffic->resend_after_ms = RESEND_MIN_MS;
		traffic->resend_ms = traffic->now_ms + RESEND_MIN_MS;
	}
	ssize_t n = send_bytes(traffic,
	    (struct framing_text){ window_at(&traffic->window, account->sent),
		len });
	if (n == -1)
		note_send_error(traffic);
	else
		account_sent(account, (size_t)n);
	traffic->is_full = n < (ssize_t)len;
}

static void
back_off(struct traffic *traffic)
{
	traffic->resend_after_ms *= 2;
	if (traffic->resend_after_ms > RESEND_MAX_MS)
		traffic->resend_after_ms = RESEND_MAX_MS;
	traffic->resend_ms = traffic->now_ms + traffic->resend_after_ms;
}

/*
 * A first datagram without a reply delays only its own line, and a limit of the
 * server may be the reason; a second one is trouble, which makes others late.
 */
static void
note_unanswered(struct traffic *traffic)
{
	struct carrier *carrier = &traffic->carrier;
	bool is_udp = traffic->options->target.protocol == PROTOCOL_UDP;

	if (traffic->resend_after_ms > RESEND_MIN_MS) {
		carrier_trouble(carrier, "no reply", traffic->asked_ms,
		    traffic->now_ms);
		account_connected(&traffic->account, traffic->now_ms);
		return;
	}
	if (carrier->trouble_ms == 0)
		carrier->trouble_ms = traffic->now_ms;
	if (is_udp && traffic->replies >= LIMITED_MIN && !traffic->hinted &&
	    !traffic->options->quiet &&
	    !sockaddr_is_loopback(&carrier->dial.connection.peer)) {
		traffic->hinted = true;
		fputs("timestampc: no reply; trying again; the server may "
		      "limit how many it answers: udp.rate_limit\n",
		    stderr);
	}
}

/*
 * A datagram or its reply may be lost, or this address has no server: then the
 * next one is tried, and the name is looked up again.  An empty datagram goes
 * with a long one: if only that is answered, the long one is too long.
 */
void
traffic_send_again(struct traffic *traffic)
{
	struct account *account = &traffic->account;
	uint64_t wait_ms = traffic->options->wait_ns / 1000000;
	uint64_t silent_ms = traffic->asked_ms + (wait_ms < SILENT_MIN_MS
							 ? SILENT_MIN_MS
							 : wait_ms);

	if (traffic->now_ms >= silent_ms) {
		carrier_trouble(&traffic->carrier, "no reply",
		    traffic->asked_ms, traffic->now_ms);
		lose(traffic, "no reply");
		return;
	}
	note_unanswered(traffic);
	account_lost(account);
	account->sent_ms = traffic->now_ms;
	size_t len = account_sendable(account, unanswered(traffic));
	back_off(traffic);
	if (traffic->resend_ms > silent_ms)
		traffic->resend_ms = silent_ms;
	if (send_bytes(traffic,
		(struct framing_text){ unanswered(traffic), len }) == -1)
		note_send_error(traffic);
	else
		account_sent(account, len);
	if (len > DATAGRAM_SAFE && traffic->carrier.fd != -1) {
		traffic->probed = true;
		send_bytes(traffic, (struct framing_text){ "", 0 });
	}
}

static void
end_input(struct traffic *traffic)
{
	traffic->input_ended = true;
	account_read_end(&traffic->account);
}

void
traffic_stop_input(struct traffic *traffic)
{
	traffic->stopped = traffic->stopped || !traffic->input_ended;
	/* The next process with this spool reads the rest of the last line. */
	if (traffic->window.path != NULL)
		traffic->input_ended = true;
	else
		end_input(traffic);
}

size_t
traffic_room(const struct traffic *traffic)
{
	return intake_room(&traffic->window, &traffic->account);
}

void
traffic_read_input(struct traffic *traffic)
{
	ssize_t n = intake_read(&traffic->window, &traffic->account,
	    PIECE_BYTES, traffic->now_ms);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) {
		fprintf(stderr, "timestampc: input: %s\n", strerror(errno));
		traffic->end_status = EX_IOERR;
	}
	if (n <= 0)
		end_input(traffic);
	else if (intake_make_room(&traffic->window, &traffic->account) == -1)
		fail_errno(traffic,
		    traffic->window.path == NULL ? EX_OSERR : EX_IOERR,
		    "no room for a line");
}

void
traffic_connect(struct traffic *traffic)
{
	int status = carrier_connect(&traffic->carrier, traffic->now_ms);

	if (status != 0)
		traffic->status = status;
}

void
traffic_connected(struct traffic *traffic)
{
	int status = carrier_take(&traffic->carrier, traffic->now_ms);

	if (status != 0)
		traffic->status = status;
	if (traffic->carrier.fd == -1)
		return;
	traffic->cannot_send = traffic->is_full = false;
	traffic->progress = 0;
	reply_reset(&traffic->reply);
	account_connected(&traffic->account, traffic->now_ms);
	if (traffic->account.answered == traffic->account.whole)
		carrier_recover(&traffic->carrier);
}

bool
traffic_awaits_datagram(const struct traffic *traffic)
{
	return has_datagrams(traffic) && traffic->carrier.fd != -1 &&
	       !output_pending(&traffic->output) &&
	       traffic->account.answered < traffic->account.sent;
}

void
traffic_end(struct traffic *traffic)
{
	traffic->status = traffic->end_status;
	if (traffic->stopped && traffic->status == EXIT_SUCCESS &&
	    leftover_any(&traffic->window))
		traffic->status = EX_TEMPFAIL;
}

void
traffic_say_left(struct traffic *traffic)
{
	/* What nobody has read was not written. */
	if (traffic->nobody_reads)
		return;
	leftover_settle(&traffic->window, traffic->account.answered,
	    &traffic->output);
	leftover_say(&traffic->window, traffic->stopped);
}

/* The reply that an earlier process could not write to its end stays so. */
static void
end_cut_line(struct traffic *traffic)
{
	if (!window_is_cut(&traffic->window, traffic->output.fd))
		return;
	output_borrow(&traffic->output, (struct framing_text){ "\n", 1 });
	write_output(traffic);
}

int
traffic_init(struct traffic *traffic, const struct client_options *options)
{
	*traffic = (struct traffic){ .options = options,
		.window = { .fd = -1 },
		.now_ms = clock_ms(),
		.status = TRAFFIC_GOES_ON,
		.data = malloc(2 * PIECE_BYTES) };
	output_init(&traffic->output, STDOUT_FILENO);
	traffic->printer = (struct printer){ .options = options,
		.output = &traffic->output };
	if (carrier_init(&traffic->carrier, options) == -1 ||
	    traffic->data == NULL) {
		perror("timestampc");
		return EX_OSERR;
	}
	int status = intake_open(&traffic->window, &traffic->account, options,
	    traffic->now_ms);
	if (status == 0)
		end_cut_line(traffic);
	return status;
}

void
traffic_free(struct traffic *traffic)
{
	window_close(&traffic->window);
	output_free(&traffic->output);
	carrier_free(&traffic->carrier);
	free(traffic->data);
}
