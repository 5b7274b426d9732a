#ifndef TIMESTAMPC_PING_REPORT_H
#define TIMESTAMPC_PING_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "ping/offset.h"
#include "ping/payload.h"
#include "ping/probes.h"
#include "ping/rtt.h"
#include "timestampc/options.h"

/*
 * What ping has found, and how it is told: as text, or as JSON with an object a
 * line.  All on standard output; one thread.
 */

struct ping_account {
	const struct client_options *options;
	const char *peer; /* the server's address */
	int64_t elapsed_ns;
	struct probes probes;
	struct rtt rtt;
	struct rtt there, back; /* with --offset */
	struct offset offset;
	uint64_t timed; /* replies with both times by the kernel */
};

struct ping_reply {
	struct payload_reply payload;
	enum probe_reply kind;
	bool is_reordered;
	bool is_timed;                /* both times are by the kernel */
	int64_t sent_ns, received_ns; /* CLOCK_REALTIME */
	int64_t rtt_ns;
};

enum ping_event {
	PING_CLOCK_SET,        /* ours, ns forwards */
	PING_SERVER_CLOCK_SET, /* ns at least */
	PING_DRIFT,            /* more than allowed, by ns */
	PING_NEW_ZONE,         /* of the stamps, ns ahead of UTC */
};

/* Whether the ways there and back can be told apart, by --offset. */
bool ping_report_has_one_way(const struct ping_account *account,
    const struct ping_reply *reply);

/* is_timed: the kernel was asked for the times. */
void ping_report_start(const struct ping_account *account, size_t bytes,
    bool is_timed);
void ping_report_reply(const struct ping_account *account,
    const struct ping_reply *reply);
void ping_report_lost(const struct ping_account *account, uint64_t number);
void ping_report_event(const struct ping_account *account,
    enum ping_event event, int64_t ns);
void ping_report_summary(const struct ping_account *account);

/* The limits of the options that do not hold: says so on stderr; how many. */
int ping_report_limits(const struct ping_account *account);

#endif
