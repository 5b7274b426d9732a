#ifndef PIPE_CARRIER_H
#define PIPE_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "pipe/dial.h"
#include "timestampc/options.h"

/*
 * Keeps a connection to the server: connects, and connects again where it was
 * lost, at once if it had carried a reply, then after 0.1 to 5 s.  Times are of
 * clock_ms().
 */
struct carrier {
	const struct client_options *options;
	struct dial dial;
	int fd;            /* -1: not connected */
	bool ever;         /* there was a connection */
	bool reported;     /* that there is trouble */
	int status;        /* of the last attempt that failed */
	uint64_t retry_ms; /* when to try again */
	uint64_t backoff_ms;
	uint64_t trouble_ms; /* since when no reply has come; 0: no trouble */
	uint64_t silent_ms;  /* the same in what was reported */
};

/* -1 with errno.  options must outlive carrier. */
int carrier_init(struct carrier *carrier, const struct client_options *options);
void carrier_free(struct carrier *carrier);

/*
 * Connects if it is time to.  0; or an exit status after a message, if that
 * fails and is not tried again.
 */
int carrier_connect(struct carrier *carrier, uint64_t now_ms);

/* Takes the result of an attempt, when dial.event is readable.  The same. */
int carrier_take(struct carrier *carrier, uint64_t now_ms);

/*
 * The connection is lost, for a reason; the second time without a reply counts
 * as trouble.
 */
void carrier_lose(struct carrier *carrier, const char *reason, uint64_t now_ms);

/* A reply has come, or none is awaited: the trouble is over. */
void carrier_recover(struct carrier *carrier);

/* A reply has come: the same, and says so if trouble was reported. */
void carrier_answered(struct carrier *carrier, uint64_t now_ms);

/*
 * No reply has come since since_ms, at the latest: counts as trouble, and says
 * so once.
 */
void carrier_trouble(struct carrier *carrier, const char *reason,
    uint64_t since_ms, uint64_t now_ms);

/* When -G says to give up; UINT64_MAX: never. */
uint64_t carrier_end_ms(const struct carrier *carrier);

#endif
