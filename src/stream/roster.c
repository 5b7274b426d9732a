#include "stream/roster.h"

#include <sys/param.h>

#define LOOK_MS 1000
#define SWEEP_MS 10000
#define SWEEP_MAX 256 /* connections that a look measures in a sweep */

/* Less is what any connection may cost. */
#define LITTLE_BYTES 16384

/* TCP replies of this length cost hardly more than the socket itself. */
#define FEW_BYTES 4096

/* The lists of connections whose clients have not taken all. */
static const int waiting[] = { CONN_WANT_WRITE, CONN_WANT_TAKEN,
	ROSTER_UNTAKEN };
#define WAITING (sizeof(waiting) / sizeof(waiting[0]))

void
roster_init(struct roster *roster, _Atomic size_t *kept)
{
	*roster = (struct roster){ .kept = kept };
	for (int i = 0; i < ROSTER_LISTS; i++)
		TAILQ_INIT(&roster->lists[i]);
}

static struct conn_list *
list_of(struct roster *roster, const struct conn *conn)
{
	return &roster->lists[conn->untaken ? ROSTER_UNTAKEN : conn->want];
}

static void
hold(struct roster *roster, struct conn *conn, uint32_t bytes)
{
	if (bytes == conn->held)
		return;
	*roster->kept += (size_t)bytes - conn->held;
	conn->held = bytes;
}

static void
unlink_conn(struct roster *roster, struct conn *conn)
{
	if (roster->sweep == conn)
		roster->sweep = TAILQ_NEXT(conn, link);
	TAILQ_REMOVE(list_of(roster, conn), conn, link);
}

void
roster_add(struct roster *roster, struct conn *conn)
{
	struct conn_list *list = list_of(roster, conn);
	const struct conn *first = TAILQ_FIRST(list);

	if (first != NULL && conn->active_ms < first->active_ms)
		TAILQ_INSERT_HEAD(list, conn, link);
	else
		TAILQ_INSERT_TAIL(list, conn, link);
}

void
roster_move(struct roster *roster, struct conn *conn, enum conn_want want,
    bool untaken)
{
	unlink_conn(roster, conn);
	conn->want = want;
	conn->untaken = untaken;
	conn->active_ms = roster->now_ms;
	/* One that is known to hold memory does so until the next look. */
	if (want == CONN_WANT_WRITE && conn->since_ms == 0) {
		conn->since_ms = (uint32_t)roster->now_ms | 1;
		hold(roster, conn, conn_measure(conn));
	} else if (want == CONN_WANT_READ && !untaken && conn->since_ms == 0)
		hold(roster, conn, 0);
	TAILQ_INSERT_TAIL(list_of(roster, conn), conn, link);
}

void
roster_remove(struct roster *roster, struct conn *conn)
{
	unlink_conn(roster, conn);
	conn->untaken = false;
	conn->since_ms = 0;
	hold(roster, conn, 0);
}

uint64_t
roster_look_ms(const struct roster *roster)
{
	const struct conn *newest = TAILQ_LAST(&roster->lists[CONN_WANT_READ],
	    conn_list);
	bool is_due = roster->sweep != NULL ||
	              (newest != NULL &&
			  newest->active_ms >= roster->looked_ms);

	for (size_t i = 0; i < WAITING; i++)
		is_due |= !TAILQ_EMPTY(&roster->lists[waiting[i]]);
	if (is_due)
		return roster->looked_ms + LOOK_MS;
	return newest != NULL ? roster->swept_ms + SWEEP_MS : UINT64_MAX;
}

/*
 * What the client takes first is the oldest, so what it holds is as old as the
 * time in which it would take as much as that, but no older than it was.
 */
static void
update_age(const struct roster *roster, struct conn *conn)
{
	uint32_t now_ms = (uint32_t)roster->now_ms | 1;
	uint32_t taken = conn_progress(conn);

	if (conn->since_ms == 0) {
		conn->since_ms = now_ms;
	} else if (taken > 0) {
		uint64_t elapsed_ms = roster->now_ms - roster->looked_ms + 1;
		uint64_t age_ms = elapsed_ms * conn->held / taken;
		uint32_t known_ms = now_ms - conn->since_ms;
		conn->since_ms = now_ms - (uint32_t)MIN(age_ms, known_ms);
		conn->since_ms |= 1;
		conn->active_ms = roster->now_ms;
	}
}

/* Moves one that wants to read to those that hold memory. */
static void
note_holding(struct roster *roster, struct conn *conn, uint64_t active_ms)
{
	update_age(roster, conn);
	roster_move(roster, conn, CONN_WANT_READ, true);
	conn->active_ms = active_ms;
}

bool
roster_note_untaken(struct roster *roster, struct conn *conn)
{
	if (!conn_is_untaken(conn))
		return false;
	note_holding(roster, conn, roster->now_ms);
	return true;
}

static bool
has_few(const struct conn *conn)
{
	return conn->protocol == PROTOCOL_TCP && !conn->restored &&
	       conn->bytes_out <= FEW_BYTES;
}

/*
 * Those that have been sent something since the last look and have not taken
 * all.  What is moved keeps its time, which is later than that of the others.
 */
static void
find_untaken(struct roster *roster)
{
	struct conn_list *list = &roster->lists[CONN_WANT_READ];
	struct conn *conn = TAILQ_LAST(list, conn_list), *next = NULL;

	for (; conn != NULL && conn->active_ms >= roster->looked_ms;
	     conn = TAILQ_PREV(conn, conn_list, link))
		next = conn;
	while ((conn = next) != NULL) {
		next = TAILQ_NEXT(conn, link);
		if (!has_few(conn) && conn_is_untaken(conn)) {
			note_holding(roster, conn, conn->active_ms);
		} else {
			conn->since_ms = 0;
			hold(roster, conn, 0);
		}
	}
}

/*
 * A client can fill the receive buffer and never wake us: with data behind a
 * gap in TCP's sequence.  So all that seem idle are measured now and then.
 */
static void
sweep(struct roster *roster)
{
	struct conn *conn;

	if (roster->sweep == NULL) {
		if (roster->now_ms < roster->swept_ms + SWEEP_MS)
			return;
		roster->swept_ms = roster->now_ms;
		roster->sweep = TAILQ_FIRST(&roster->lists[CONN_WANT_READ]);
	}
	for (int i = 0; i < SWEEP_MAX && (conn = roster->sweep) != NULL; i++) {
		/* From here on all were active meanwhile. */
		if (conn->active_ms >= roster->swept_ms) {
			roster->sweep = NULL;
			break;
		}
		roster->sweep = TAILQ_NEXT(conn, link);
		if (conn_measure(conn) > LITTLE_BYTES)
			note_holding(roster, conn, roster->now_ms);
	}
}

static void
find_taken(struct roster *roster)
{
	struct conn *conn = TAILQ_FIRST(&roster->lists[ROSTER_UNTAKEN]), *next;

	for (; conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (conn_is_untaken(conn) || conn->held > LITTLE_BYTES)
			continue;
		conn->since_ms = 0;
		roster_move(roster, conn, CONN_WANT_READ, false);
	}
}

/* Measures those of a list; who has taken something moves to its end. */
static void
measure(struct roster *roster, struct conn_list *list)
{
	struct conn_list all = TAILQ_HEAD_INITIALIZER(all);
	struct conn_list taking = TAILQ_HEAD_INITIALIZER(taking);
	struct conn *conn;

	TAILQ_CONCAT(&all, list, link);
	while ((conn = TAILQ_FIRST(&all)) != NULL) {
		uint64_t active_ms = conn->active_ms;
		update_age(roster, conn);
		bool progressed = conn->active_ms != active_ms;
		TAILQ_REMOVE(&all, conn, link);
		hold(roster, conn, conn_measure(conn));
		TAILQ_INSERT_TAIL(progressed ? &taking : list, conn, link);
	}
	TAILQ_CONCAT(list, &taking, link);
}

void
roster_look(struct roster *roster)
{
	find_untaken(roster);
	sweep(roster);
	for (size_t i = 0; i < WAITING; i++)
		measure(roster, &roster->lists[waiting[i]]);
	find_taken(roster);
	roster->looked_ms = roster->now_ms;
}

struct conn *
roster_find_stalled(const struct roster *roster)
{
	uint32_t now_ms = (uint32_t)roster->now_ms | 1, oldest_ms = 0;
	struct conn *stalled = NULL, *conn;

	for (size_t i = 0; i < WAITING; i++)
		TAILQ_FOREACH (conn, &roster->lists[waiting[i]], link) {
			if (conn->since_ms == 0)
				continue;
			uint32_t age_ms = now_ms - conn->since_ms;
			if (stalled == NULL || age_ms > oldest_ms) {
				stalled = conn;
				oldest_ms = age_ms;
			}
		}
	return stalled;
}
