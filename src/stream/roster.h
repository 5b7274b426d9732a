#ifndef STREAM_ROSTER_H
#define STREAM_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/conn.h"

/* The lists: by what a connection wants, and those that are untaken. */
enum {
	ROSTER_UNTAKEN = CONN_WANT_CLOSE,
	ROSTER_LISTS,
};

/*
 * The open connections of a worker, which alone uses it, and the memory that
 * they hold for clients that do not take their replies.  For one that does, its
 * since_ms is the time (modulo 2^32) of the oldest data that it holds, as far
 * as known; 0: no look has found it to hold any.
 */
struct roster {
	struct conn_list lists[ROSTER_LISTS]; /* longest quiet first */
	uint64_t now_ms, looked_ms, swept_ms;
	struct conn *sweep;   /* the next to be measured, or NULL */
	_Atomic size_t *kept; /* bytes that all rosters hold */
};

void roster_init(struct roster *roster, _Atomic size_t *kept);

/*
 * At the end of the list for what it wants; in front if it has been quiet for
 * longer than all others.  Those of the process before this one may be, and are
 * added with the longest quiet last.
 */
void roster_add(struct roster *roster, struct conn *conn);

/* To the end of another list; its time without activity begins. */
void roster_move(struct roster *roster, struct conn *conn, enum conn_want want,
    bool untaken);

void roster_remove(struct roster *roster, struct conn *conn);

/*
 * Moves a connection that wants to read to the untaken ones; false: its client
 * has taken all.
 */
bool roster_note_untaken(struct roster *roster, struct conn *conn);

/* When to look again; UINT64_MAX: there is nothing to look at. */
uint64_t roster_look_ms(const struct roster *roster);

/*
 * Looks at what clients have taken, and measures the memory of those that have
 * not taken all; every ten seconds begins to measure all others.
 */
void roster_look(struct roster *roster);

/* The one that holds the oldest data; NULL: no look has found one. */
struct conn *roster_find_stalled(const struct roster *roster);

#endif
