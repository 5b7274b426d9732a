#ifndef DATAGRAM_DATAGRAM_H
#define DATAGRAM_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/protocol.h"
#include "config/access.h"
#include "stamp/stamp.h"

/* Answers the datagrams of one socket.  All functions: the main thread. */
struct datagram_thread;

struct datagram_settings {
	struct stamp stamp;         /* has no time yet; copies get theirs */
	bool arrival;               /* stamps tell when data arrived */
	int rate_limit, rate_burst; /* of a source; 0: no limit */
	int max_datagram;           /* bytes */
	bool abstract_clients;      /* Unix: answered at abstract names too */
	struct access *access;      /* UDP: its lists; a copy holds them */
	const uint16_t *ports;      /* UDP of this server: not answered */
	size_t port_count;
};

/*
 * Starts a thread that serves fd, a bound socket that remains the caller's, and
 * writes to the eventfd done_fd when it has ended.  Settings are copied, here
 * and below.  NULL with errno.
 */
struct datagram_thread *datagram_start(int number, int fd,
    enum protocol protocol, const struct datagram_settings *settings,
    int done_fd);

/* Sets what holds for datagrams from now on; -1: out of memory. */
int datagram_configure(struct datagram_thread *thread,
    const struct datagram_settings *settings);

/* It is responsive if its loop ran since the ping, or has ended as ordered. */
void datagram_ping(struct datagram_thread *thread);
bool datagram_is_responsive(const struct datagram_thread *thread);

const struct counters *datagram_counters(const struct datagram_thread *thread);

/* As ps(1) and gdb(1) show it. */
const char *datagram_name(const struct datagram_thread *thread);

/* The thread answers what has arrived, then ends. */
void datagram_order_end(struct datagram_thread *thread);
bool datagram_has_ended(const struct datagram_thread *thread);

/* Waits for the end of the thread, adds its counters to sum and frees it. */
void datagram_join(struct datagram_thread *thread, struct counters *sum);

#endif
