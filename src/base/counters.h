#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/protocol.h"

/* Events, among them the end of connections and datagrams by its cause. */
enum counter {
	COUNTER_ACCEPTED,
	COUNTER_TAKEN_OVER, /* from the process before this one */
	COUNTER_CLOSED_CLIENT,
	COUNTER_CLOSED_IDLE,
	COUNTER_CLOSED_SEND_TIMEOUT,
	COUNTER_CLOSED_MEMORY,
	COUNTER_CLOSED_ERROR,
	COUNTER_CLOSED_STOP,
	COUNTER_CLOSED_ADDRESS,    /* too many from there are open */
	COUNTER_CLOSED_DENIED,     /* by the lists */
	COUNTER_CLOSED_PROXY,      /* no valid PROXY header */
	COUNTER_CLOSED_PROXY_FROM, /* a PROXY header not from proxy_from */
	COUNTER_CLOSED_UNKNOWN,    /* taken over without a state */
	COUNTER_HANDED_OVER,       /* to the process after this one */
	COUNTER_ACCEPT_PAUSES,
	COUNTER_ACCEPT_ERRORS,
	COUNTER_DROPPED_PORT,
	COUNTER_DROPPED_DENIED,
	COUNTER_DROPPED_UNNAMED,
	COUNTER_DROPPED_ABSTRACT,
	COUNTER_DROPPED_RATE,
	COUNTER_DROPPED_LOOP,
	COUNTER_DROPPED_OVERSIZE,
	COUNTER_DROPPED_SEND,
	COUNTER_RECEIVE_ERRORS,
	COUNTER_EVENTS,
};

/* What is counted for each protocol. */
enum traffic {
	TRAFFIC_MESSAGES_IN,
	TRAFFIC_BYTES_IN,
	TRAFFIC_MESSAGES_OUT,
	TRAFFIC_BYTES_OUT,
	TRAFFIC_FIELDS,
};

/*
 * How long answers took, from the arrival in the kernel to the send: bucket i
 * has those of at most counters_delays_ns[i], and of more than the one before.
 */
#define COUNTER_DELAYS 16
extern const uint64_t counters_delays_ns[COUNTER_DELAYS];

/*
 * The counters of one thread, which alone adds to them; any thread may read
 * them.  Aligned, so that no two threads write to one cache line.
 */
struct counters {
	_Alignas(64) _Atomic uint64_t event[COUNTER_EVENTS];
	_Atomic uint64_t traffic[PROTOCOL_COUNT][TRAFFIC_FIELDS];
	_Atomic uint64_t delay[PROTOCOL_COUNT][COUNTER_DELAYS];
	_Atomic uint64_t delay_ns[PROTOCOL_COUNT]; /* the sum of all */
};

/* Only the owner may call these. */
void counters_add(struct counters *counters, enum counter id, uint64_t n);
void counters_add_traffic(struct counters *counters, enum protocol protocol,
    enum traffic field, uint64_t n);
void counters_add_delay(struct counters *counters, enum protocol protocol,
    uint64_t ns, uint64_t n);

/* Adds all of from to sum.  The owner of sum calls. */
void counters_sum(struct counters *sum, const struct counters *from);

uint64_t counters_get(const struct counters *counters, enum counter id);

/* "closed_idle", as in counters_text. */
const char *counters_event_name(enum counter id);

/* The connections that are open and the messages answered, in a sum of all. */
uint64_t counters_open(const struct counters *counters);
uint64_t counters_answered(const struct counters *counters);

/*
 * How the counters are written.  Each form but the short one has every event; a
 * line has the traffic of the protocols that had any, the others that of all.
 */
enum counters_form {
	COUNTERS_LINE,  /* "open=1 accepted=3 ...", without a newline */
	COUNTERS_SHORT, /* the same without zeros; "" if all are zero */
	COUNTERS_LINES, /* "open 1", "accepted 3" ..., one a line */
	COUNTERS_JSON, /* {"open": 1, "accepted": 3, ...}, one object, a line */
};

/* Returns text; the largest values fit into it. */
#define COUNTERS_TEXT_MAX 4096
const char *counters_text(const struct counters *counters,
    enum counters_form form, char text[COUNTERS_TEXT_MAX]);

#endif
