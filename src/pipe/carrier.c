#include "pipe/carrier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

int
carrier_init(struct carrier *carrier, const struct client_options *options)
{
	*carrier = (struct carrier){ .options = options,
		.fd = -1,
		.status = EX_UNAVAILABLE };
	return dial_init(&carrier->dial, &options->target);
}

void
carrier_free(struct carrier *carrier)
{
	struct dial *dial = &carrier->dial;

	/* It ends soon, and may have made a folder. */
	if (dial->busy && protocol_is_unix(dial->target->protocol))
		dial_end(dial);
	if (dial->busy) {
		pthread_detach(dial->thread);
		return;
	}
	connection_close(&dial->connection);
	if (dial->event != -1)
		close(dial->event);
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
carrier_trouble(struct carrier *carrier, const char *reason, uint64_t since_ms,
    uint64_t now_ms)
{
	bool waits = carrier->fd != -1 &&
	             !protocol_is_datagram(carrier->options->target.protocol);

	if (carrier->trouble_ms == 0)
		carrier->trouble_ms = now_ms;
	if (!carrier->reported)
		carrier->silent_ms = since_ms < carrier->trouble_ms
		                       ? since_ms
		                       : carrier->trouble_ms;
	if (!carrier->reported && !carrier->options->quiet)
		fprintf(stderr, "timestampc: %s; %s\n", reason,
		    waits ? "waiting" : "trying again");
	carrier->reported = true;
}

/*
 * If even the first attempt fails, the command line is likely to be wrong,
 * unless it has -S or -G, by which the user says that failures are expected.
 */
static int
take_failure(struct carrier *carrier, int status, const char *problem,
    uint64_t now_ms)
{
	const struct client_options *options = carrier->options;

	if (!carrier->ever && !options->has_give_up && options->spool == NULL) {
		fprintf(stderr, "timestampc: %s\n", problem);
		return status;
	}
	if (carrier->backoff_ms == 0)
		carrier->backoff_ms = BACKOFF_MIN_MS;
	carrier->status = status;
	carrier_trouble(carrier, problem, now_ms, now_ms);
	back_off(carrier, now_ms);
	return 0;
}

int
carrier_connect(struct carrier *carrier, uint64_t now_ms)
{
	if (carrier->fd != -1 || carrier->dial.busy ||
	    now_ms < carrier->retry_ms)
		return 0;
	/* An attempt without an answer counts for -G from its beginning. */
	if (carrier->trouble_ms == 0)
		carrier->trouble_ms = now_ms;
	if (dial_begin(&carrier->dial) == 0)
		return 0;
	return take_failure(carrier, EX_OSERR, strerror(errno), now_ms);
}

int
carrier_take(struct carrier *carrier, uint64_t now_ms)
{
	struct dial *dial = &carrier->dial;

	dial_end(dial);
	if (dial->status == 0) {
		carrier->fd = dial->connection.fd;
		carrier->ever = true;
		/* Nothing was wrong before this attempt. */
		if (carrier->backoff_ms == 0)
			carrier->trouble_ms = 0;
		if (carrier->options->verbose)
			fprintf(stderr, "timestampc: connected to %s\n",
			    dial->target->text);
		return 0;
	}
	return take_failure(carrier, dial->status, dial->connection.problem,
	    now_ms);
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
		carrier_trouble(carrier, reason, now_ms, now_ms);
	back_off(carrier, now_ms);
}

void
carrier_recover(struct carrier *carrier)
{
	carrier->trouble_ms = 0;
	carrier->backoff_ms = 0;
	carrier->reported = false;
}

void
carrier_answered(struct carrier *carrier, uint64_t now_ms)
{
	if (carrier->reported && !carrier->options->quiet)
		fprintf(stderr, "timestampc: replies come again after %.1f s\n",
		    (double)(now_ms - carrier->silent_ms) / 1000);
	carrier_recover(carrier);
}

uint64_t
carrier_end_ms(const struct carrier *carrier)
{
	if (carrier->trouble_ms == 0 || !carrier->options->has_give_up)
		return UINT64_MAX;
	return carrier->trouble_ms + carrier->options->give_up_ns / 1000000;
}
