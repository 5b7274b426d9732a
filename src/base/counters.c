#include "base/counters.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const event_names[COUNTER_EVENTS] = {
	[COUNTER_ACCEPTED] = "accepted",
	[COUNTER_TAKEN_OVER] = "taken_over",
	[COUNTER_CLOSED_CLIENT] = "closed_client",
	[COUNTER_CLOSED_IDLE] = "closed_idle",
	[COUNTER_CLOSED_SEND_TIMEOUT] = "closed_send_timeout",
	[COUNTER_CLOSED_MEMORY] = "closed_memory",
	[COUNTER_CLOSED_ERROR] = "closed_error",
	[COUNTER_CLOSED_STOP] = "closed_stop",
	[COUNTER_CLOSED_ADDRESS] = "closed_address",
	[COUNTER_CLOSED_DENIED] = "closed_denied",
	[COUNTER_CLOSED_PROXY] = "closed_proxy",
	[COUNTER_CLOSED_PROXY_FROM] = "closed_proxy_from",
	[COUNTER_CLOSED_UNKNOWN] = "closed_unknown",
	[COUNTER_HANDED_OVER] = "handed_over",
	[COUNTER_ACCEPT_PAUSES] = "accept_pauses",
	[COUNTER_ACCEPT_ERRORS] = "accept_errors",
	[COUNTER_DROPPED_PORT] = "dropped_port",
	[COUNTER_DROPPED_DENIED] = "dropped_denied",
	[COUNTER_DROPPED_UNNAMED] = "dropped_unnamed",
	[COUNTER_DROPPED_ABSTRACT] = "dropped_abstract",
	[COUNTER_DROPPED_RATE] = "dropped_rate",
	[COUNTER_DROPPED_LOOP] = "dropped_loop",
	[COUNTER_DROPPED_OVERSIZE] = "dropped_oversize",
	[COUNTER_DROPPED_SEND] = "dropped_send",
	[COUNTER_RECEIVE_ERRORS] = "receive_errors",
};

static const char *const traffic_names[TRAFFIC_FIELDS] = {
	[TRAFFIC_MESSAGES_IN] = "messages_in",
	[TRAFFIC_BYTES_IN] = "bytes_in",
	[TRAFFIC_MESSAGES_OUT] = "messages_out",
	[TRAFFIC_BYTES_OUT] = "bytes_out",
};

/* The answers of a server that is not busy are in the first ones. */
const uint64_t counters_delays_ns[COUNTER_DELAYS] = { 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000,
	100000000, 500000000, 2500000000, UINT64_MAX };

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Only one thread writes, so this needs no locked instruction. */
static void
add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, load(counter) + n, memory_order_relaxed);
}

void
counters_add(struct counters *counters, enum counter id, uint64_t n)
{
	add(&counters->event[id], n);
}

void
counters_add_traffic(struct counters *counters, enum protocol protocol,
    enum traffic field, uint64_t n)
{
	add(&counters->traffic[protocol][field], n);
}

void
counters_add_delay(struct counters *counters, enum protocol protocol,
    uint64_t ns, uint64_t n)
{
	int i = 0;

	while (ns > counters_delays_ns[i])
		i++;
	add(&counters->delay[protocol][i], n);
	add(&counters->delay_ns[protocol], ns * n);
}

const char *
counters_event_name(enum counter id)
{
	return event_names[id];
}

void
counters_sum(struct counters *sum, const struct counters *from)
{
	for (int i = 0; i < COUNTER_EVENTS; i++)
		add(&sum->event[i], load(&from->event[i]));
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		for (int j = 0; j < TRAFFIC_FIELDS; j++)
			add(&sum->traffic[i][j], load(&from->traffic[i][j]));
		for (int j = 0; j < COUNTER_DELAYS; j++)
			add(&sum->delay[i][j], load(&from->delay[i][j]));
		add(&sum->delay_ns[i], load(&from->delay_ns[i]));
	}
}

uint64_t
counters_get(const struct counters *counters, enum counter id)
{
	return load(&counters->event[id]);
}

uint64_t
counters_open(const struct counters *counters)
{
	uint64_t closed = 0;

	for (int i = COUNTER_CLOSED_CLIENT; i <= COUNTER_HANDED_OVER; i++)
		closed += load(&counters->event[i]);
	return load(&counters->event[COUNTER_ACCEPTED]) +
	       load(&counters->event[COUNTER_TAKEN_OVER]) - closed;
}

uint64_t
counters_answered(const struct counters *counters)
{
	uint64_t sum = 0;

	for (int i = 0; i < PROTOCOL_COUNT; i++)
		sum += load(&counters->traffic[i][TRAFFIC_MESSAGES_OUT]);
	return sum;
}

/* What stands around names and values. */
static const struct form {
	const char *begin, *separator, *end, *before_name, *after_name;
	bool with_idle; /* also the traffic of protocols that had none */
	bool with_zeros;
} forms[] = {
	[COUNTERS_LINE] = { "", " ", "", "", "=", false, true },
	[COUNTERS_SHORT] = { "", " ", "", "", "=", false, false },
	[COUNTERS_LINES] = { "", "\n", "\n", "", " ", true, true },
	[COUNTERS_JSON] = { "{", ", ", "}\n", "\"", "\": ", true, true },
};

/* Where the next pair is written. */
struct place {
	char *at, *end;
	const struct form *form;
	const char *separator;
};

/* "PROTOCOL_NAME=VALUE" in the form of place; protocol may be "". */
static void
print_pair(struct place *place, const char *protocol, const char *name,
    uint64_t value)
{
	const struct form *form = place->form;

	if (value == 0 && !form->with_zeros)
		return;
	place->at += snprintf(place->at, (size_t)(place->end - place->at),
	    "%s%s%s%s%s%s%" PRIu64, place->separator, form->before_name,
	    protocol, *protocol == '\0' ? "" : "_", name, form->after_name,
	    value);
	place->separator = form->separator;
}

const char *
counters_text(const struct counters *counters, enum counters_form form,
    char text[COUNTERS_TEXT_MAX])
{
	struct place place = { text, text + COUNTERS_TEXT_MAX, &forms[form],
		forms[form].begin };

	print_pair(&place, "", "open", counters_open(counters));
	for (int i = 0; i < COUNTER_EVENTS; i++)
		print_pair(&place, "", event_names[i],
		    load(&counters->event[i]));
	for (int i = 0; i < PROTOCOL_COUNT; i++) {
		const _Atomic uint64_t *traffic = counters->traffic[i];
		if (!place.form->with_idle &&
		    load(&traffic[TRAFFIC_MESSAGES_IN]) == 0)
			continue;
		for (int j = 0; j < TRAFFIC_FIELDS; j++)
			print_pair(&place, protocol_name((enum protocol)i),
			    traffic_names[j], load(&traffic[j]));
	}
	strcpy(place.at, place.form->end);
	return text;
}
