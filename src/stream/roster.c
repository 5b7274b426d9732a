#include "stream/roster.h"

#include <sys/param.h>

#define LOOK_MS 1000
#define LOOK_MAX 256 /* connections that it visits at once */
#define SWEEP_MS 10000

/* Who has taken nothing for so long may take nothing at all. */
#define SILENT_MS 4000

/* Until then each millisecond of silence counts so many times. */
#define SILENT_WEIGHT 4

/* Marks the burden of one that is silent; the rest is since when. */
#define SILENT (UINT64_C(1) << 63)

/* In how long a client takes what it holds: at first, and at the most. */
#define TAKING_FIRST_MS 1000
#define TAKING_MAX_MS 86400000

/* Less is what any connection may cost. */
#define LITTLE_BYTES 8192

/* TCP replies of this length cost hardly more than the socket itself. */
#define FEW_BYTES 4096

/* The lists of connections whose clients have not taken all. */
static const int waiting[] = { CONN_WANT_WRITE, CONN_WANT_TAKEN,
	ROSTER_UNTAKEN };
#define WAITING (sizeof(waiting) / sizeof(waiting[0]))

void
roster_init(struct roster *roster, _Atomic size_t *kept)
{
	*roster = (struct roster){ .kept = kept, .list = ROSTER_PATIENT };
	for (int i = 0; i < ROSTER_LISTS; i++)
		TAILQ_INIT(&roster->lists[i]);
}

static struct conn_list *
list_of(struct roster *roster, const struct conn *conn)
{
	if (conn->patient)
		return &roster->lists[ROSTER_PATIENT];
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
release(struct roster *roster, struct conn *conn)
{
	conn->holds = false;
	hold(roster, conn, 0);
}

/* The patient ones come after those that want to read. */
static struct conn *
next_to_sweep(const struct roster *roster, const struct conn *conn)
{
	struct conn *next = TAILQ_NEXT(conn, link);

	if (next != NULL || conn->patient)
		return next;
	return TAILQ_FIRST(&roster->lists[ROSTER_PATIENT]);
}

static void
unlink_conn(struct roster *roster, struct conn *conn)
{
	if (roster->sweep == conn)
		roster->sweep = next_to_sweep(roster, conn);
	if (roster->next == conn)
		roster->next = TAILQ_NEXT(conn, link);
	TAILQ_REMOVE(list_of(roster, conn), conn, link);
}

void
roster_add(struct roster *roster, struct conn *conn)
{
	struct conn_list *list = list_of(roster, conn);
	const struct conn *first = TAILQ_FIRST(list);

	if (first != NULL && conn->active_ms <= first->active_ms)
		TAILQ_INSERT_HEAD(list, conn, link);
	else
		TAILQ_INSERT_TAIL(list, conn, link);
}

static void
begin_to_hold(const struct roster *roster, struct conn *conn)
{
	conn->holds = true;
	conn->since_ms = (uint32_t)roster->now_ms - TAKING_FIRST_MS;
}

void
roster_move(struct roster *roster, struct conn *conn, enum conn_want want,
    bool untaken)
{
	unlink_conn(roster, conn);
	conn->want = want;
	conn->untaken = untaken;
	conn->patient = false;
	conn->active_ms = roster->now_ms;
	/* One that is known to hold memory does so until the next look. */
	if (want == CONN_WANT_WRITE && !conn->holds) {
		begin_to_hold(roster, conn);
		hold(roster, conn, conn_measure(conn));
	} else if (want == CONN_WANT_READ && !untaken && !conn->holds)
		hold(roster, conn, 0);
	TAILQ_INSERT_TAIL(list_of(roster, conn), conn, link);
}

void
roster_remove(struct roster *roster, struct conn *conn)
{
	unlink_conn(roster, conn);
	conn->untaken = conn->patient = false;
	release(roster, conn);
}

const struct conn *
roster_oldest(const struct roster *roster)
{
	const struct conn *oldest = NULL, *conn;

	for (int list = 0; list < ROSTER_LISTS; list++)
		TAILQ_FOREACH (conn, &roster->lists[list], link)
			if (oldest == NULL ||
			    conn->opened_ms < oldest->opened_ms)
				oldest = conn;
	return oldest;
}

uint64_t
roster_look_ms(const struct roster *roster)
{
	const struct conn *newest = TAILQ_LAST(&roster->lists[CONN_WANT_READ],
	    conn_list);
	bool is_due = newest != NULL && newest->active_ms >= roster->last_ms;

	if (roster->list < ROSTER_PATIENT || roster->sweep != NULL)
		return roster->now_ms;
	for (size_t i = 0; i < WAITING; i++)
		is_due |= !TAILQ_EMPTY(&roster->lists[waiting[i]]);
	if (is_due)
		return roster->looked_ms + LOOK_MS;
	return newest != NULL || !TAILQ_EMPTY(&roster->lists[ROSTER_PATIENT])
	         ? roster->swept_ms + SWEEP_MS
	         : UINT64_MAX;
}

/*
 * In how long the client would take what it holds, after it has taken so much
 * since the last look or the last time that it took some.  Progress comes in
 * lumps, so a longer time than the one before counts by an eighth.
 */
static void
update_pace(struct roster *roster, struct conn *conn, uint64_t taken)
{
	uint64_t from_ms = MIN(roster->last_ms, conn->active_ms);

	if (!conn->holds) {
		from_ms = roster->last_ms;
		begin_to_hold(roster, conn);
	}
	conn->takes = taken > 0;
	if (taken == 0)
		return;
	uint32_t before_ms = (uint32_t)roster->now_ms - conn->since_ms;
	uint64_t elapsed_ms = roster->now_ms - MAX(from_ms, conn->opened_ms);
	uint64_t ms = MIN((elapsed_ms + 1) * conn->held / taken, TAKING_MAX_MS);
	if (ms > before_ms)
		ms = before_ms + (ms - before_ms) / 8;
	conn->since_ms = (uint32_t)(roster->now_ms - ms);
	conn->active_ms = roster->now_ms;
}

/* Moves one that waits to read to those that hold memory. */
static void
note_holding(struct roster *roster, struct conn *conn, uint64_t taken,
    uint64_t active_ms)
{
	hold(roster, conn, conn_measure(conn));
	update_pace(roster, conn, taken);
	roster_move(roster, conn, CONN_WANT_READ, true);
	conn->active_ms = active_ms;
	conn->round = roster->round;
}

bool
roster_note_untaken(struct roster *roster, struct conn *conn)
{
	if (!conn_is_untaken(conn))
		return false;
	note_holding(roster, conn, 0, roster->now_ms);
	return true;
}

bool
roster_note_progress(struct roster *roster, struct conn *conn)
{
	uint64_t taken = conn_progress(conn);

	if (taken == 0)
		return false;
	hold(roster, conn, conn_measure(conn));
	update_pace(roster, conn, taken);
	roster_move(roster, conn, conn->want, conn->untaken);
	return true;
}

static bool
has_few(const struct conn *conn)
{
	return conn->protocol == PROTOCOL_TCP && !conn->restored &&
	       conn->bytes_out <= FEW_BYTES;
}

/*
 * A client can fill the receive buffer and never wake us: with data behind a
 * gap in TCP's sequence.  So all that seem idle are measured now and then.
 */
static bool
sweep(struct roster *roster)
{
	struct conn *patient = TAILQ_FIRST(&roster->lists[ROSTER_PATIENT]);
	struct conn *conn;

	if (roster->sweep == NULL) {
		if (roster->now_ms < roster->swept_ms + SWEEP_MS)
			return true;
		roster->swept_ms = roster->now_ms;
		roster->sweep = TAILQ_FIRST(&roster->lists[CONN_WANT_READ]);
		if (roster->sweep == NULL)
			roster->sweep = patient;
	}
	for (int i = 0; i < LOOK_MAX && (conn = roster->sweep) != NULL; i++) {
		bool is_recent = conn->active_ms >= roster->swept_ms;
		/* From here on a look has measured, or will measure, all. */
		if (is_recent && !conn->patient)
			roster->sweep = patient;
		else
			roster->sweep = next_to_sweep(roster, conn);
		if (is_recent)
			continue;
		if (conn_measure(conn) > LITTLE_BYTES)
			note_holding(roster, conn, 0, roster->now_ms);
		else
			release(roster, conn);
	}
	return roster->sweep == NULL;
}

/* One that was served since the last look and waits to read. */
static void
visit_served(struct roster *roster, struct conn *conn)
{
	bool few = has_few(conn);
	uint64_t taken = few ? 0 : conn_progress(conn);

	if (conn_measure(conn) > LITTLE_BYTES ||
	    (!few && conn->taken < (int64_t)conn->bytes_out))
		note_holding(roster, conn, taken, conn->active_ms);
	else
		release(roster, conn);
}

void
roster_set_aside(struct roster *roster, struct conn *conn, uint64_t due_ms)
{
	struct conn_list *list = &roster->lists[ROSTER_PATIENT];

	/* A look finds it no more. */
	if (conn->active_ms >= roster->last_ms)
		visit_served(roster, conn);
	if (conn->untaken)
		return;
	if (TAILQ_EMPTY(list) || due_ms < roster->patient_ms)
		roster->patient_ms = due_ms;
	unlink_conn(roster, conn);
	conn->patient = true;
	TAILQ_INSERT_TAIL(list, conn, link);
}

/* One that waits for its client; at the end of its list if that took some. */
static void
visit_waiting(struct roster *roster, struct conn *conn)
{
	uint64_t taken = conn_progress(conn);

	hold(roster, conn, conn_measure(conn));
	if (conn->untaken && conn->held <= LITTLE_BYTES &&
	    conn->taken >= (int64_t)conn->bytes_out) {
		conn->holds = false;
		roster_move(roster, conn, CONN_WANT_READ, false);
		return;
	}
	update_pace(roster, conn, taken);
	if (taken > 0) {
		unlink_conn(roster, conn);
		TAILQ_INSERT_TAIL(list_of(roster, conn), conn, link);
	}
}

static void
begin(struct roster *roster)
{
	struct conn *conn = TAILQ_LAST(&roster->lists[CONN_WANT_READ],
	    conn_list);

	for (roster->next = NULL;
	     conn != NULL && conn->active_ms >= roster->last_ms;
	     conn = TAILQ_PREV(conn, conn_list, link))
		roster->next = conn;
	roster->list = CONN_WANT_READ;
	roster->began_ms = roster->now_ms;
	roster->round++;
}

bool
roster_look(struct roster *roster)
{
	struct conn *conn;

	if (roster->sweep != NULL)
		return sweep(roster);
	if (roster->list == ROSTER_PATIENT)
		begin(roster);
	for (int visits = 0; roster->list < ROSTER_PATIENT;) {
		if ((conn = roster->next) == NULL) {
			if (++roster->list < ROSTER_PATIENT)
				roster->next = TAILQ_FIRST(
				    &roster->lists[roster->list]);
			continue;
		}
		if (visits == LOOK_MAX)
			return false;
		roster->next = TAILQ_NEXT(conn, link);
		/* It has come to the end of a list after its visit. */
		if (conn->round == roster->round)
			continue;
		visits++;
		conn->round = roster->round;
		if (roster->list == CONN_WANT_READ)
			visit_served(roster, conn);
		else
			visit_waiting(roster, conn);
	}
	roster->last_ms = roster->began_ms;
	roster->looked_ms = roster->now_ms;
	return sweep(roster);
}

/* Of one that takes it stays as of the last look, of others it grows. */
static uint64_t
burden_of(const struct roster *roster, const struct conn *conn)
{
	uint64_t now_ms = roster->now_ms, silent_ms = now_ms - conn->active_ms;
	uint64_t ms = (uint32_t)now_ms - conn->since_ms;

	if (!conn->holds)
		return 0;
	if (silent_ms >= SILENT_MS)
		return SILENT | conn->active_ms;
	if (conn->takes)
		ms = (uint32_t)roster->looked_ms - conn->since_ms;
	else
		ms += (SILENT_WEIGHT - 1) * silent_ms;
	return (uint64_t)MIN(conn->held, INT32_MAX) << 32 |
	       (uint32_t)(SILENT_WEIGHT * now_ms - ms);
}

/* Another worker's time may be some milliseconds ahead. */
uint64_t
roster_weigh(uint64_t burden, uint64_t now_ms)
{
	int32_t ms = (int32_t)(uint32_t)(SILENT_WEIGHT * now_ms - burden);

	if ((burden & SILENT) != 0)
		return SILENT | (now_ms - MIN(now_ms, burden & ~SILENT));
	return (burden >> 32) * (uint32_t)MAX(ms, 0);
}

static size_t
insert(struct roster_burden *found, size_t count, size_t max,
    struct roster_burden one)
{
	size_t at = count;

	if (count == max && one.weight <= found[max - 1].weight)
		return count;
	if (count == max)
		at = --count;
	for (; at > 0 && found[at - 1].weight < one.weight; at--)
		found[at] = found[at - 1];
	found[at] = one;
	return count + 1;
}

size_t
roster_find_heaviest(const struct roster *roster, struct roster_burden *found,
    size_t max)
{
	size_t count = 0;
	struct conn *conn;

	for (size_t i = 0; i < WAITING; i++)
		TAILQ_FOREACH (conn, &roster->lists[waiting[i]], link) {
			uint64_t burden = burden_of(roster, conn);
			struct roster_burden one = { burden,
				roster_weigh(burden, roster->now_ms), conn };
			if (burden != 0)
				count = insert(found, count, max, one);
		}
	return count;
}
