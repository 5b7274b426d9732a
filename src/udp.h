#ifndef UDP_H
#define UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counters.h"
#include "protocol.h"
#include "stamp.h"

/* A thread that answers the datagrams of one socket, UDP or Unix. */
struct udp;

struct udp_settings {
	struct stamp_format stamp;
	bool arrival;               /* stamps tell when data arrived */
	int rate_limit, rate_burst; /* replies a second and source; 0: none */
	int max_datagram;           /* bytes */
	const uint16_t *ports; /* UDP ports of this server: never answered */
	size_t port_count;
};

/*
 * Serves fd, a bound blocking socket that stays the caller's, until udp_stop.
 * settings is copied.  NULL with errno.  This and all that follow are for the
 * main thread only.
 */
struct udp *udp_start(int number, int fd, enum protocol protocol,
    const struct udp_settings *settings);

/* New settings, from the next datagram on; -1 with errno: out of memory. */
int udp_set(struct udp *udp, const struct udp_settings *settings);

/*
 * Asks the thread for a sign that its loop turns, and whether it gave it.  A
 * ping may be lost: ask again.
 */
void udp_ping(struct udp *udp);
bool udp_turns(const struct udp *udp);

const struct counters *udp_counters(const struct udp *udp);

/* Answers what has arrived, ends, adds its counters to sum and frees. */
void udp_stop(struct udp *udp, struct counters *sum);

#endif
