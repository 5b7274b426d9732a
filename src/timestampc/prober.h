#ifndef TIMESTAMPC_PROBER_H
#define TIMESTAMPC_PROBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/sockaddr.h"
#include "ping/clock_watch.h"
#include "ping/payload.h"
#include "timestampc/connection.h"
#include "timestampc/ping_report.h"

/*
 * Sends the probes of ping, takes the replies to its account, and reports them.
 * One thread.
 */
struct prober {
	struct ping_account *account;
	const struct client_options *options;
	struct connection connection;
	struct clock_watch watch;
	uint64_t first; /* number of the first probe over the connection */
	uint32_t id;
	uint32_t key;    /* by which the kernel knows what is sent next */
	bool is_timed;   /* the kernel tells times */
	bool has_stamp;  /* a reply had one */
	bool is_foreign; /* what came is not a reply */
	struct payload_line line;
	char *message, *input;
	size_t message_bytes, unsent; /* unsent: of the last message */
	char peer[SOCKADDR_TEXT_MAX];
	char complaint[512]; /* the last one; "": none since a reply */
};

/* -1 after a complaint. */
int prober_init(struct prober *prober, struct ping_account *account,
    size_t message_bytes);

/* Connects: returns 0, or an exit status after a complaint. */
int prober_open(struct prober *prober, uint64_t wait_ms);

/* Whether the kernel is asked for the times of a message. */
bool prober_times_by_kernel(const struct prober *prober);

/* The present moment; a step of our clock is taken into account. */
struct clock_moment prober_now(struct prober *prober);

/*
 * Sends a probe, on a new connection if there is none.  Returns the moment of
 * CLOCK_BOOTTIME.
 */
int64_t prober_ask(struct prober *prober);

/*
 * The probe with this number is lost: ends the connection if part of it is
 * unsent, or if another socket may get replies where this one got none.
 */
void prober_give_up(struct prober *prober, uint64_t number);

/*
 * Takes what poll(2) has told of the connection: POLLOUT is needed while
 * something is unsent.  Returns -1 after a complaint if what came is not a
 * reply of a timestamp server.
 */
int prober_take(struct prober *prober, short events);

/* Not to be called when prober_init has failed. */
void prober_end(struct prober *prober);

#endif
