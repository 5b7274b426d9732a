#ifndef DATAGRAM_DATAGRAM_H
#define DATAGRAM_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/protocol.h"
#include "stamp/stamp.h"

/* A thread that answers the datagrams of one socket, UDP or Unix. */
struct datagram;

struct datagram_settings {
	struct stamp_format stamp;
	bool arrival;               /* stamps tell when data arrived */
	int rate_limit, rate_burst; /* replies a second and source; 0: none */
	int max_datagram;           /* bytes */
	const uint16_t *ports; /* UDP ports of this server: never answered */
	size_t port_count;
};

/*
 * Serves fd, a bound blocking socket that stays the caller's, until datagram_stop.
 * settings is copied.  NULL with errno.  This and all that follow are for the
 * main thread only.
 */
struct datagram *datagram_start(int number, int fd, enum protocol protocol,
    const struct datagram_settings *settings);

/* New settings, from the next datagram on; -1 with errno: out of memory. */
int datagram_set(struct datagram *udp,
    const struct datagram_settings *settings);

/*
 * Asks the thread for a sign that its loop turns, and whether it gave it.  A
 * ping may be lost: ask again.
 */
void datagram_ping(struct datagram *udp);
bool datagram_is_responsive(const struct datagram *udp);

const struct counters *datagram_counters(const struct datagram *udp);

/* Answers what has arrived, ends, adds its counters to sum and frees. */
void datagram_stop(struct datagram *udp, struct counters *sum);

#endif
