#include "pipe/carrier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

int
carrier_init(struct carrier *carrier, const struct client_options *options)
{
	*carrier = (struct carrier){ .options = options, .fd = -1 };
	return dial_init(&carrier->dial, &options->target);
}

void
carrier_free(struct carrier *carrier)
{
	if (carrier->dial.busy)
		pthread_detach(carrier->dial.thread);
	else
		connection_close(&carrier->dial.connection);
	if (carrier->dial.event != -1 && !carrier->dial.busy)
		close(carrier->dial.event);
}

int
carrier_connect(struct carrier *carrier, uint64_t now_ms)
{
	if (carrier->fd != -1 || carrier->dial.busy ||
	    now_ms < carrier->retry_ms)
		return 0;
	return dial_begin(&carrier->dial);
}

static void
back_off(struct carrier *carrier, uint64_t now_ms)
{
	carrier->retry_ms = now_ms + carrier->backoff_ms;
	carrier->backoff_ms = carrier->backoff_ms == 0
	                        ? BACKOFF_MIN_MS
	                        : 2 * carrier->backoff_ms;
	if (carrier->backoff_ms > BACKOFF_MAX_MS)
		carrier->backoff_ms = BACKOFF_MAX_MS;
}

void
carrier_trouble(struct carrier *carrier, const char *reason, uint64_t now_ms)
{
	bool waits = carrier->fd != -1 &&
	             !protocol_is_datagram(carrier->options->target.protocol);

	if (carrier->trouble_ms == 0)
		carrier->trouble_ms = now_ms;
	if (!carrier->said && !carrier->options->quiet)
		fprintf(stderr, "timestampc: %s; %s\n", reason,
		    waits ? "waiting" : "trying again");
	carrier->said = true;
}

int
carrier_take(struct carrier *carrier, uint64_t now_ms)
{
	struct dial *dial = &carrier->dial;

	dial_end(dial);
	if (dial->status == 0) {
		carrier->fd = dial->connection.fd;
		carrier->ever = true;
		if (carrier->options->verbose)
			fprintf(stderr, "timestampc: connected to %s\n",
			    dial->target->text);
		return 0;
	}
	if (!carrier->ever && !carrier->options->has_give_up) {
		fprintf(stderr, "timestampc: %s\n", dial->connection.problem);
		return dial->status;
	}
	if (carrier->backoff_ms == 0)
		carrier->backoff_ms = BACKOFF_MIN_MS;
	carrier->status = dial->status;
	carrier_trouble(carrier, dial->connection.problem, now_ms);
	back_off(carrier, now_ms);
	return 0;
}

void
carrier_lose(struct carrier *carrier, const char *reason, uint64_t now_ms)
{
	if (carrier->options->verbose)
		fprintf(stderr, "timestampc: connection lost: %s\n", reason);
	carrier->dial.connection.skip++;
	connection_close(&carrier->dial.connection);
	carrier->fd = -1;
	if (carrier->trouble_ms == 0)
		carrier->trouble_ms = now_ms;
	/* The connection before this one carried no reply either. */
	if (carrier->backoff_ms > 0)
		carrier_trouble(carrier, reason, now_ms);
	back_off(carrier, now_ms);
}

void
carrier_good(struct carrier *carrier)
{
	carrier->trouble_ms = 0;
	carrier->backoff_ms = 0;
	carrier->said = false;
}

uint64_t
carrier_end_ms(const struct carrier *carrier)
{
	if (carrier->trouble_ms == 0 || !carrier->options->has_give_up)
		return UINT64_MAX;
	return carrier->trouble_ms + carrier->options->give_up_ns / 1000000;
}
