#ifndef DIALOGUE_H
#define DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "plan.h"

/*
 * The request, and the reply that must come: the same each time, except for a
 * prefix with the time.  A reply that differs ends the program.
 */
struct dialogue {
	const char *request, *reply; /* the reply without its prefix */
	size_t request_len, reply_len, prefix_len;
	bool any; /* accept any reply */
	const char *prefix_format;
	char prefix[64]; /* the last correct one */
};

/* The dialogue owns its texts and lives as long as the program. */
void dialogue_init(struct dialogue *dialogue, const struct plan *plan);

/* The same for one line of plan->size bytes. */
void dialogue_init_line(struct dialogue *dialogue, const struct plan *plan);

/*
 * A copy of the request that tells its number, below DIALOGUE_NUMBERS, in its
 * first byte.  A datagram that repeats the one before may be taken for a loop.
 */
#define DIALOGUE_NUMBERS 64
char *dialogue_numbered(const struct dialogue *dialogue, unsigned number);

/* Bytes of a whole reply. */
size_t dialogue_len(const struct dialogue *dialogue);

/* Checks one whole reply. */
void dialogue_check(struct dialogue *dialogue, const char *data, size_t len);

/* The same for the reply to one with a number, which it replaces in data. */
void dialogue_check_numbered(struct dialogue *dialogue, char *data, size_t len);

/* Checks the len bytes at offset at of a reply. */
void dialogue_check_part(struct dialogue *dialogue, size_t at, const char *data,
    size_t len);

#endif
