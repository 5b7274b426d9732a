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
 * they hold for clients that do not take their replies.
 */
struct roster {
	struct conn_list lists[ROSTER_LISTS]; /* longest quiet first */
	uint64_t now_ms, looked_ms;
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

/* When to look again; UINT64_MAX: nothing has been sent since the last look. */
uint64_t roster_look_ms(const struct roster *roster);

/*
 * Looks at what clients have taken, and measures the memory of those that have
 * not taken all.
 */
void roster_look(struct roster *roster);

/* The one whose client has taken nothing for longest; NULL: all take. */
struct conn *roster_find_stalled(const struct roster *roster);

#endif
