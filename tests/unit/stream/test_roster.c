#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream/roster.h"
#include "unit/suites.h"

#define MANY 1000

static struct roster roster;
static _Atomic size_t kept;

/* A connection, and its client's end. */
struct pair {
	struct conn *conn;
	int client;
};

static void
begin(void)
{
	kept = 0;
	roster_init(&roster, &kept);
	roster.now_ms = 100000;
}

static void
end(void)
{
	struct conn *conn;

	for (int list = 0; list < ROSTER_LISTS; list++)
		while ((conn = TAILQ_FIRST(&roster.lists[list])) != NULL) {
			roster_remove(&roster, conn);
			conn_free(conn);
		}
	ck_assert_uint_eq(kept, 0);
}

static struct pair
add(void)
{
	int ends[2], size = 1 << 20;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0,
			     ends),
	    0);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	struct conn *conn = conn_new(ends[0], PROTOCOL_UNIX_SEQPACKET,
	    FRAMING_CHUNK, roster.now_ms);
	ck_assert_ptr_nonnull(conn);
	roster_add(&roster, conn);
	return (struct pair){ conn, ends[1] };
}

/* Replies of 1000 bytes that the client has not taken. */
static void
reply(struct pair *pair, int count)
{
	char data[1000] = "";

	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(write(pair->conn->fd, data, sizeof(data)),
		    sizeof(data));
		pair->conn->bytes_out += sizeof(data);
	}
	if (!pair->conn->untaken)
		roster_move(&roster, pair->conn, CONN_WANT_READ, false);
}

static void
take(const struct pair *pair, int count)
{
	char data[1000];

	for (int i = 0; i < count; i++)
		ck_assert_int_eq(read(pair->client, data, sizeof(data)),
		    sizeof(data));
}

/* Returns how many turns it took. */
static int
look_after(uint64_t ms)
{
	int turns = 1;

	roster.now_ms += ms;
	for (; !roster_look(&roster); turns++)
		ck_assert_uint_eq(roster_look_ms(&roster), roster.now_ms);
	return turns;
}

static void
check_first(const struct pair *pair)
{
	struct roster_burden found[3];

	ck_assert_uint_ge(roster_find_heaviest(&roster, found, 3), 1);
	ck_assert_ptr_eq(found[0].conn, pair->conn);
}

/* One that has so many replies to take, and takes two a second. */
static struct pair
add_slow(int count)
{
	struct pair slow = add();

	reply(&slow, count);
	look_after(1000);
	for (int i = 0; i < 20; i++) {
		take(&slow, 2);
		reply(&slow, 2);
		look_after(1000);
	}
	return slow;
}

/* What the slow one holds is the oldest of all. */
START_TEST(who_comes_anew_does_not_outlive_a_slow_reader)
{
	struct pair slow = add_slow(30), other = add();

	reply(&other, 200);
	look_after(500);
	take(&slow, 1);
	look_after(500);
	check_first(&other);
	close(slow.client);
	close(other.client);
}
END_TEST

START_TEST(who_takes_a_little_does_not_outlive_a_slow_reader)
{
	struct pair slow = add_slow(50), other = add();

	reply(&other, 50);
	look_after(1000);
	/* The pace of one look does not make it the first. */
	check_first(&slow);
	for (int i = 0; i < 5; i++) {
		take(&other, 1);
		take(&slow, 2);
		reply(&slow, 2);
		reply(&other, 1);
		look_after(1000);
	}
	check_first(&other);
	close(slow.client);
	close(other.client);
}
END_TEST

START_TEST(the_longest_silent_is_first_whatever_it_holds)
{
	struct pair old = add(), young = add(), taking = add();

	reply(&old, 20);
	reply(&taking, 300);
	look_after(1000);
	reply(&young, 300);
	for (int i = 0; i < 5; i++) {
		take(&taking, 1);
		look_after(1000);
	}
	check_first(&old);
	struct roster_burden found[3];
	ck_assert_uint_eq(roster_find_heaviest(&roster, found, 3), 3);
	ck_assert_ptr_eq(found[1].conn, young.conn);
	ck_assert_ptr_eq(found[2].conn, taking.conn);
	/* It stays the first for another worker, later or a little earlier. */
	for (uint64_t ms = roster.now_ms - 5; ms < roster.now_ms + 100; ms++)
		for (int i = 0; i < 2; i++)
			ck_assert_uint_gt(roster_weigh(found[i].burden, ms),
			    roster_weigh(found[i + 1].burden, ms));
	roster_remove(&roster, old.conn);
	conn_free(old.conn);
	check_first(&young);
	close(old.client);
	close(young.client);
	close(taking.client);
}
END_TEST

START_TEST(the_heaviest_come_in_order)
{
	struct pair pairs[20];
	struct roster_burden found[8];

	for (int i = 0; i < 20; i++) {
		pairs[i] = add();
		reply(&pairs[i], 20 + i * 7 % 20);
	}
	ck_assert_uint_eq(roster_find_heaviest(&roster, found, 8), 0);
	look_after(1000);
	ck_assert_uint_eq(roster_find_heaviest(&roster, found, 8), 8);
	for (int i = 0; i < 7; i++)
		ck_assert_uint_gt(found[i].weight, found[i + 1].weight);
	ck_assert_uint_eq(found[0].conn->bytes_out, 39000);
	ck_assert_uint_eq(found[7].conn->bytes_out, 32000);
	for (int i = 0; i < 20; i++)
		close(pairs[i].client);
}
END_TEST

/* Others are served between its turns, and connections may be closed there. */
START_TEST(a_look_at_many_takes_several_turns)
{
	static struct pair pairs[MANY];

	for (int i = 0; i < MANY; i++) {
		pairs[i] = add();
		reply(&pairs[i], 20);
	}
	ck_assert_int_eq(look_after(1000), 4);
	size_t before = kept;
	ck_assert_int_eq(look_after(1000), 4);
	ck_assert_uint_eq(kept, before);
	roster.now_ms += 1000;
	ck_assert(!roster_look(&roster));
	for (int i = 0; i < MANY; i++) {
		close(pairs[i].client);
		if (i % 2 == 0)
			continue;
		roster_remove(&roster, pairs[i].conn);
		conn_free(pairs[i].conn);
	}
	look_after(0);
	ck_assert_uint_lt(kept, before / 2 + 1);
}
END_TEST

/* What it holds lies behind a gap: nothing is untaken.  No sweep is due. */
START_TEST(who_holds_input_and_is_active_is_found)
{
	struct pair pair = add();
	static char data[100000];

	pair.conn->protocol = PROTOCOL_TCP;
	look_after(1000);
	ck_assert_int_eq(write(pair.conn->fd, data, sizeof(data)),
	    sizeof(data));
	for (int i = 0; i < 5; i++) {
		if (!pair.conn->untaken)
			roster_move(&roster, pair.conn, CONN_WANT_READ, false);
		look_after(1000);
	}
	ck_assert_uint_gt(kept, sizeof(data));
	close(pair.client);
}
END_TEST

/* Who has filled a buffer and taken all since the last look holds nothing. */
START_TEST(what_was_taken_is_let_go_at_every_look)
{
	for (int i = 0; i < 300; i++) {
		struct pair pair = add();

		reply(&pair, 50);
		roster_move(&roster, pair.conn, CONN_WANT_WRITE, false);
		take(&pair, 50);
		roster_move(&roster, pair.conn, CONN_WANT_READ, false);
		look_after(1000);
		ck_assert_uint_eq(kept, 0);
		roster_remove(&roster, pair.conn);
		conn_free(pair.conn);
		close(pair.client);
	}
}
END_TEST

/* As many as there are: 10000 clients could hold 1.6 GB until then. */
START_TEST(a_sweep_measures_all_at_once)
{
	static struct pair pairs[MANY];
	char data[10000] = "";

	for (int i = 0; i < MANY; i++)
		pairs[i] = add();
	look_after(1000);
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(write(pairs[i].conn->fd, data, sizeof(data)),
		    sizeof(data));
	look_after(10000);
	ck_assert_uint_gt(kept, MANY * sizeof(data));
	for (int i = 0; i < MANY; i++)
		close(pairs[i].client);
}
END_TEST

START_TEST(progress_without_a_look_counts_once)
{
	struct pair pair = add();

	reply(&pair, 50);
	look_after(1000);
	roster.now_ms += 3000;
	ck_assert(!roster_note_progress(&roster, pair.conn));
	take(&pair, 49);
	ck_assert(roster_note_progress(&roster, pair.conn));
	ck_assert(!roster_note_progress(&roster, pair.conn));
	/* It would take the rest at once. */
	ck_assert_uint_lt((uint32_t)roster.now_ms - pair.conn->since_ms, 1000);
	ck_assert_uint_eq(pair.conn->active_ms, roster.now_ms);
	close(pair.client);
}
END_TEST

/* In whatever list it is. */
START_TEST(the_oldest_is_the_one_open_longest)
{
	struct pair pairs[3];

	ck_assert_ptr_null(roster_oldest(&roster));
	for (int i = 0; i < 3; i++, roster.now_ms += 1000)
		pairs[i] = add();
	roster_move(&roster, pairs[0].conn, CONN_WANT_WRITE, false);
	roster_move(&roster, pairs[1].conn, CONN_WANT_READ, false);
	for (int i = 0; i < 3; i++) {
		ck_assert_ptr_eq(roster_oldest(&roster), pairs[i].conn);
		roster_remove(&roster, pairs[i].conn);
		conn_free(pairs[i].conn);
		close(pairs[i].client);
	}
}
END_TEST

/* Where all are patient they are measured nevertheless, every ten seconds. */
START_TEST(patient_ones_are_measured_too)
{
	struct pair quiet = add(), other = add();
	char data[1000] = "";

	look_after(10000);
	roster_set_aside(&roster, quiet.conn, roster.now_ms + 70000);
	roster_set_aside(&roster, other.conn, roster.now_ms + 60000);
	ck_assert_uint_eq(roster.patient_ms, roster.now_ms + 60000);
	ck_assert(TAILQ_EMPTY(&roster.lists[CONN_WANT_READ]));
	ck_assert_uint_eq(roster_look_ms(&roster), roster.swept_ms + 10000);
	/* As if it had sent what does not wake us. */
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(write(quiet.conn->fd, data, sizeof(data)),
		    sizeof(data));
	look_after(10000);
	ck_assert(quiet.conn->untaken && !quiet.conn->patient);
	ck_assert_uint_gt(quiet.conn->held, 0);
	ck_assert(other.conn->patient && !other.conn->untaken);
	/* One that is served is as all others again. */
	roster_move(&roster, other.conn, CONN_WANT_READ, false);
	ck_assert(!other.conn->patient);
	ck_assert_ptr_eq(TAILQ_FIRST(&roster.lists[CONN_WANT_READ]),
	    other.conn);
	roster_set_aside(&roster, other.conn, roster.now_ms);
	roster_remove(&roster, other.conn);
	ck_assert(TAILQ_EMPTY(&roster.lists[ROSTER_PATIENT]));
	conn_free(other.conn);
	close(quiet.client);
	close(other.client);
}
END_TEST

/* Where others may be idle for so short a time that no look comes before. */
START_TEST(who_is_set_aside_before_a_look_is_measured)
{
	struct pair pair = add();

	look_after(10000);
	reply(&pair, 100);
	roster.now_ms += 1000;
	roster_set_aside(&roster, pair.conn, roster.now_ms + 60000);
	ck_assert(pair.conn->untaken && !pair.conn->patient);
	ck_assert_uint_gt(kept, 100 * 1000);
	take(&pair, 100);
	look_after(1000);
	ck_assert(!pair.conn->untaken);
	roster_set_aside(&roster, pair.conn, roster.now_ms + 60000);
	ck_assert(pair.conn->patient);
	ck_assert_uint_eq(kept, 0);
	close(pair.client);
}
END_TEST

Suite *
roster_suite(void)
{
	Suite *suite = suite_create("roster");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, begin, end);
	tcase_add_test(tests, who_comes_anew_does_not_outlive_a_slow_reader);
	tcase_add_test(tests,
	    who_takes_a_little_does_not_outlive_a_slow_reader);
	tcase_add_test(tests, the_longest_silent_is_first_whatever_it_holds);
	tcase_add_test(tests, the_heaviest_come_in_order);
	tcase_add_test(tests, a_look_at_many_takes_several_turns);
	tcase_add_test(tests, who_holds_input_and_is_active_is_found);
	tcase_add_test(tests, what_was_taken_is_let_go_at_every_look);
	tcase_add_test(tests, a_sweep_measures_all_at_once);
	tcase_add_test(tests, progress_without_a_look_counts_once);
	tcase_add_test(tests, the_oldest_is_the_one_open_longest);
	tcase_add_test(tests, patient_ones_are_measured_too);
	tcase_add_test(tests, who_is_set_aside_before_a_look_is_measured);
	suite_add_tcase(suite, tests);
	return suite;
}
