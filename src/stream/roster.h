#ifndef STREAM_ROSTER_H
#define STREAM_ROSTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/conn.h"

/*
 * The lists: by what a connection waits for, those that are untaken, and those
 * that wait to read and have been idle for as long as the least patient may be.
 */
enum {
	ROSTER_UNTAKEN = CONN_WANT_CLOSE,
	ROSTER_PATIENT,
	ROSTER_LISTS,
};

/*
 * The open connections of a worker, which alone uses it, and the memory that
 * they hold for clients that do not take their replies.
 *
 * Over the budget they are closed in this order:
 * 1. those that have taken nothing for four seconds, the longest silent first;
 * 2. the others by their burden: what they hold, times the time in which they
 *    would take it at the pace of the last looks.  Silence makes that longer.
 *
 * An attacker who fills the budget and takes nothing loses his connections by
 * 1, unless he fills it within four seconds: 540 Mbit/s for 256 MiB.  One who
 * takes a little, or connects again and again, has to take what he holds more
 * quickly than an honest client on a slow link, or to hold less: the pace
 * counts, so it does not help that the data is young.
 *
 * For a connection that holds memory, now_ms - since_ms is the time of 2; it
 * grows while the client takes nothing.
 */
struct roster {
	struct conn_list lists[ROSTER_LISTS]; /* longest quiet first */
	uint64_t patient_ms; /* when the first patient one may be due */
	uint64_t now_ms;
	uint64_t began_ms, last_ms;   /* this look, the last whole one */
	uint64_t looked_ms, swept_ms; /* the end of that, the last sweep */
	struct conn *sweep;           /* the next to be measured, or NULL */
	struct conn *next;    /* the next of list in this look, or NULL */
	int list;             /* ROSTER_PATIENT: no look has begun */
	uint32_t round;       /* of the last look: it would wrap after years */
	_Atomic size_t *kept; /* bytes that all rosters hold */
};

void roster_init(struct roster *roster, _Atomic size_t *kept);

/*
 * Adds conn at the end of the list of those that wait for the same; in front if
 * it has been quiet for longer than all of them.  A restored connection may
 * have been; of several the longest quiet one is added last.
 */
void roster_add(struct roster *roster, struct conn *conn);

/* Moves conn to the end of another list; its time without activity begins. */
void roster_move(struct roster *roster, struct conn *conn, enum conn_want want,
    bool untaken);

void roster_remove(struct roster *roster, struct conn *conn);

/* The connection that has been open longest; NULL: none is open. */
const struct conn *roster_oldest(const struct roster *roster);

/*
 * Moves a connection that waits to read to the patient ones until due_ms, or,
 * if its client has not taken all, to the untaken ones; its time without
 * activity goes on.
 */
void roster_set_aside(struct roster *roster, struct conn *conn,
    uint64_t due_ms);

/*
 * Moves a connection that waits to read to the untaken ones; false: its client
 * has taken all.
 */
bool roster_note_untaken(struct roster *roster, struct conn *conn);

/* As roster_move to its own list; false: its client has taken nothing. */
bool roster_note_progress(struct roster *roster, struct conn *conn);

/* When to look again; UINT64_MAX: there is nothing to look at. */
uint64_t roster_look_ms(const struct roster *roster);

/*
 * Looks at what clients have taken, and measures the memory of those that have
 * not taken all; every ten seconds begins to measure all others.  False: the
 * look is to go on at once, after others have been served.
 */
bool roster_look(struct roster *roster);

/*
 * A burden decides which connection is closed first, in a form that stays valid
 * while time passes; 0: it holds nothing.  Returns what it weighs at now_ms:
 * the heaviest is closed first.
 */
uint64_t roster_weigh(uint64_t burden, uint64_t now_ms);

struct roster_burden {
	uint64_t burden, weight;
	struct conn *conn;
};

/* Finds the heaviest, at most max, the first first; returns how many. */
size_t roster_find_heaviest(const struct roster *roster,
    struct roster_burden *found, size_t max);

#endif
