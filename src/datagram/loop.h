#ifndef DATAGRAM_LOOP_H
#define DATAGRAM_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/sockaddr.h"

/*
 * A forged datagram can make this server and another service answer each other
 * for ever.  Two signs tell such a loop: our own stamps in the data, and a
 * source that repeats itself.
 */

/*
 * Whether data begins with at least two stamps like this text, as it does when
 * it went through this server twice.  Others in brackets may stand in front of
 * each.  One stamp is legitimate: someone passes on what was stamped.
 */
bool loop_is_stamped_twice(const char *text, size_t text_len, const char *data,
    size_t len);

#define LOOP_SETS 4096
#define LOOP_WAYS 4
#define LOOP_REPEATS 400    /* then one datagram is dropped */
#define LOOP_QUIET_MS 10000 /* without a repeat a source may be forgotten */
#define LOOP_KEYS 8
#define LOOP_SEEDS (LOOP_KEYS + 1)

/*
 * What sources sent last, by address and port.  Where a set is full, a new
 * source takes the place of one that has been quiet, or of the one with the
 * fewest repeats: so a flood from other sources does not push out a loop.
 * Owned by one thread; 256 KiB.
 */
struct loop_table {
	uint64_t key[LOOP_KEYS],
	    multiplier; /* secret: no client can choose its set */
	struct loop_source {
		uint32_t name;    /* a hash of the address */
		uint32_t payload; /* a hash of the last data */
		uint32_t repeats;
		uint32_t last_ms; /* of a repeat, or when it came in */
	} sources[LOOP_SETS][LOOP_WAYS];
};

/* The table is all zero before.  The seed is random. */
void loop_init(struct loop_table *table, const uint64_t seed[LOOP_SEEDS]);

/* Datagrams that came at once from a source, and which was noted last. */
struct loop_run {
	const struct sockaddr_any *address; /* UDP */
	uint64_t now_ms;
	struct loop_source *source; /* NULL: none has been noted */
	const char *data;
	size_t len;
};

/*
 * Notes a datagram of run, which has its address and time and is zero else.
 * True once in LOOP_REPEATS times that the source sent the same as the time
 * before: with this one dropped, a loop has ended.  data must not change until
 * loop_end, which a run of one datagram does not need.
 */
bool loop_is_due(struct loop_table *table, struct loop_run *run,
    const char *data, size_t len);

/* Ends a run, before the next one begins. */
void loop_end(const struct loop_table *table, const struct loop_run *run);

#endif
