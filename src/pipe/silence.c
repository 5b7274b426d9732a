#include "pipe/silence.h"

#include <linux/sockios.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sysexits.h>

/* A line of so many bytes may take long on a slow link. */
#define LONG_LINE 65536

uint64_t
silence_begin_ms(const struct traffic *traffic)
{
	if (protocol_is_datagram(traffic->options->target.protocol) ||
	    traffic->carrier.fd == -1 || traffic->carrier.reported ||
	    output_pending(&traffic->output) ||
	    traffic->account.answered == traffic->account.sent)
		return UINT64_MAX;
	return traffic->asked_ms + traffic->options->wait_ns / 1000000;
}

/*
 * Whether more of a long line was taken by the server's side since the last
 * call, or more of its reply has come: it needs its time.
 */
static bool
goes_on(struct traffic *traffic)
{
	const struct account *account = &traffic->account;
	uint64_t before = traffic->progress;
	uint64_t line = account_line(account,
	    window_at(&traffic->window, account->answered));
	int unsent = 0;

	if (traffic->carrier.fd == -1 || line < LONG_LINE)
		return false;
	ioctl(traffic->carrier.fd, SIOCOUTQ, &unsent);
	uint64_t taken = account->sent - account->answered;
	/* A Unix socket counts more bytes than the line has. */
	taken -= (uint64_t)unsent < taken ? (uint64_t)unsent : taken;
	traffic->progress = (taken < line ? taken : line) +
	                    traffic->reply.matched;
	return traffic->progress > before;
}

void
silence_note(struct traffic *traffic)
{
	if (goes_on(traffic))
		traffic->asked_ms = traffic->now_ms;
	else
		carrier_trouble(&traffic->carrier, "no reply",
		    traffic->asked_ms, traffic->now_ms);
}

uint64_t
silence_end_ms(const struct traffic *traffic)
{
	if (traffic->carrier.fd != -1 && output_pending(&traffic->output))
		return UINT64_MAX;
	return carrier_end_ms(&traffic->carrier);
}

void
silence_give_up(struct traffic *traffic)
{
	const struct carrier *carrier = &traffic->carrier;

	if (goes_on(traffic)) {
		traffic->carrier.trouble_ms = traffic->now_ms;
		return;
	}
	if (!carrier->reported)
		fprintf(stderr, "timestampc: %s\n",
		    carrier->fd == -1 ? "no connection" : "no reply");
	traffic->status = carrier->ever ? EX_TEMPFAIL : carrier->status;
}
