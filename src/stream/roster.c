#include "stream/roster.h"

#define LOOK_MS 1000

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
	TAILQ_REMOVE(list_of(roster, conn), conn, link);
	conn->want = want;
	conn->untaken = untaken;
	conn->active_ms = roster->now_ms;
	if (want == CONN_WANT_READ && !untaken)
		hold(roster, conn, 0);
	TAILQ_INSERT_TAIL(list_of(roster, conn), conn, link);
}

void
roster_remove(struct roster *roster, struct conn *conn)
{
	TAILQ_REMOVE(list_of(roster, conn), conn, link);
	conn->untaken = false;
	hold(roster, conn, 0);
}

uint64_t
roster_look_ms(const struct roster *roster)
{
	const struct conn *newest = TAILQ_LAST(&roster->lists[CONN_WANT_READ],
	    conn_list);
	bool is_due = newest != NULL && newest->active_ms >= roster->looked_ms;

	for (size_t i = 0; i < WAITING; i++)
		is_due |= !TAILQ_EMPTY(&roster->lists[waiting[i]]);
	return is_due ? roster->looked_ms + LOOK_MS : UINT64_MAX;
}

bool
roster_note_untaken(struct roster *roster, struct conn *conn)
{
	if (!conn_is_untaken(conn))
		return false;
	conn_progressed(conn);
	roster_move(roster, conn, CONN_WANT_READ, true);
	return true;
}

/* Those that have been sent something lately and have not taken all. */
static void
find_untaken(struct roster *roster)
{
	struct conn_list *list = &roster->lists[CONN_WANT_READ];
	struct conn *conn = TAILQ_LAST(list, conn_list), *before;

	for (; conn != NULL && conn->active_ms >= roster->looked_ms;
	     conn = before) {
		before = TAILQ_PREV(conn, conn_list, link);
		roster_note_untaken(roster, conn);
	}
}

static void
find_taken(struct roster *roster)
{
	struct conn *conn = TAILQ_FIRST(&roster->lists[ROSTER_UNTAKEN]), *next;

	for (; conn != NULL; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (!conn_is_untaken(conn))
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
		bool progressed = conn_progressed(conn);
		TAILQ_REMOVE(&all, conn, link);
		hold(roster, conn, conn_measure(conn));
		if (progressed)
			conn->active_ms = roster->now_ms;
		TAILQ_INSERT_TAIL(progressed ? &taking : list, conn, link);
	}
	TAILQ_CONCAT(list, &taking, link);
}

void
roster_look(struct roster *roster)
{
	find_untaken(roster);
	find_taken(roster);
	for (size_t i = 0; i < WAITING; i++)
		measure(roster, &roster->lists[waiting[i]]);
	roster->looked_ms = roster->now_ms;
}

struct conn *
roster_find_stalled(const struct roster *roster)
{
	struct conn *stalled = NULL;

	for (size_t i = 0; i < WAITING; i++) {
		struct conn *conn = TAILQ_FIRST(&roster->lists[waiting[i]]);
		if (conn != NULL &&
		    (stalled == NULL || conn->active_ms < stalled->active_ms))
			stalled = conn;
	}
	return stalled;
}
