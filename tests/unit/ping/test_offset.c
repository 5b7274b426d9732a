#include <stdlib.h>

#include "ping/offset.h"
#include "unit/suites.h"

#define SECOND_NS INT64_C(1000000000)
#define START_NS (INT64_C(1795223700) * SECOND_NS)

/* A server with a clock of its own, behind a network. */
struct world {
	int64_t now_ns;    /* of our clock */
	int64_t offset_ns; /* of the server's, at the start */
	double drift;      /* of the server's, a part of 1 */
	int64_t there_ns, back_ns, noise_ns;
	int64_t resolution_ns, zone_ns;
	bool has_zone;
};

static int64_t
below(int64_t limit)
{
	int64_t number = (int64_t)random() << 31 | random();

	return limit == 0 ? 0 : number % limit;
}

static int64_t
true_offset(const struct world *world)
{
	return world->offset_ns +
	       (int64_t)(world->drift * (double)(world->now_ns - START_NS));
}

/* Asks now. */
static enum offset_fit
ask(struct world *world, struct offset *offset, int64_t *gap_ns)
{
	int64_t sent_ns = world->now_ns;

	world->now_ns += world->there_ns + below(world->noise_ns);
	int64_t at_ns = world->now_ns + true_offset(world) + world->zone_ns;
	struct stamp_reading stamp = { at_ns - at_ns % world->resolution_ns,
		world->resolution_ns, world->has_zone };
	world->now_ns += world->back_ns + below(world->noise_ns);
	enum offset_fit fit = offset_add(offset, sent_ns, world->now_ns, &stamp,
	    gap_ns);
	if (fit == OFFSET_FITS || fit == OFFSET_NEW_ZONE)
		ck_assert_int_eq(*gap_ns, 0);
	else
		ck_assert_int_gt(*gap_ns, 0);
	return fit;
}

static void
assert_inside(const struct world *world, const struct offset_range *range)
{
	ck_assert_int_le(range->low_ns, true_offset(world));
	ck_assert_int_ge(range->high_ns, true_offset(world));
}

static int64_t
power_of_ten(int digits)
{
	int64_t power = 1;

	for (; digits > 0; digits--)
		power *= 10;
	return power;
}

static struct world
random_world(void)
{
	struct world world = { .now_ns = START_NS,
		.offset_ns = below(2 * power_of_ten((int)below(17))),
		.drift = (double)(below(2001) - 1000) * 1e-7,
		.there_ns = below(power_of_ten((int)below(10))),
		.back_ns = below(power_of_ten((int)below(10))),
		.noise_ns = below(power_of_ten((int)below(10))),
		.resolution_ns = power_of_ten((int)below(4) * 3),
		.has_zone = true };

	if (below(2) == 0)
		world.offset_ns = -world.offset_ns;
	return world;
}

/* Whatever the offset, the drift, the delays and the pace are. */
START_TEST(the_truth_is_always_inside)
{
	srandom((unsigned)_i);
	for (int run = 0; run < 100; run++) {
		struct world world = random_world();
		struct offset offset = { 0 };
		int64_t pace_ns = below(power_of_ten((int)below(12))), gap_ns;

		for (int i = 0; i < 100; i++) {
			ck_assert_int_eq(ask(&world, &offset, &gap_ns),
			    OFFSET_FITS);
			assert_inside(&world, &offset.now);
			ck_assert_int_le(offset_error_ns(&offset.best),
			    offset_error_ns(&offset.now));
			world.now_ns = offset_next_ns(&offset,
			    world.now_ns + below(2 * pace_ns + 1), pace_ns / 2,
			    world.there_ns);
		}
	}
}
END_TEST

START_TEST(the_best_range_holds_for_its_moment)
{
	srandom((unsigned)_i);
	for (int run = 0; run < 300; run++) {
		struct world world = random_world();
		struct offset offset = { 0 };
		int64_t gap_ns, truth_ns = 0, at_ns = 0;

		for (int i = 0; i < 50; i++) {
			ask(&world, &offset, &gap_ns);
			if (offset.best.at_ns != at_ns)
				truth_ns = true_offset(&world);
			at_ns = offset.best.at_ns;
			ck_assert_int_le(offset.best.low_ns, truth_ns);
			ck_assert_int_ge(offset.best.high_ns, truth_ns);
			world.now_ns += below(SECOND_NS);
		}
	}
}
END_TEST

/* Replies that come in another order than they were sent. */
START_TEST(late_replies_hold_too)
{
	srandom((unsigned)_i);
	struct world world = random_world();
	struct offset offset = { 0 };
	int64_t gap_ns;

	for (int i = 0; i < 1000; i++) {
		struct world before = world;

		world.now_ns += below(SECOND_NS);
		ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
		ck_assert_int_eq(ask(&before, &offset, &gap_ns), OFFSET_FITS);
		if (before.now_ns > world.now_ns)
			world.now_ns = before.now_ns;
		assert_inside(&world, &offset.now);
	}
}
END_TEST

/* Asks a server that tells whole seconds 40 times, a second apart. */
START_TEST(whole_seconds_yield_a_round_trip)
{
	struct world world = { .now_ns = START_NS + below(SECOND_NS),
		.offset_ns = 12345678000,
		.there_ns = 40000 << _i,
		.back_ns = 40000 << _i,
		.noise_ns = 10000,
		.resolution_ns = SECOND_NS };
	struct offset offset = { 0 };
	int64_t gap_ns;

	srandom((unsigned)_i);
	for (int i = 0; i < 40; i++) {
		int64_t before_ns = world.now_ns;

		ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
		assert_inside(&world, &offset.now);
		world.now_ns = offset_next_ns(&offset, before_ns + SECOND_NS,
		    SECOND_NS / 2, world.there_ns);
		ck_assert_int_ge(world.now_ns, before_ns + SECOND_NS / 2);
		ck_assert_int_le(world.now_ns, before_ns + SECOND_NS * 3 / 2);
	}
	int64_t drift_ns = SECOND_NS * 3 / 2 * OFFSET_DRIFT_PPM / 1000000;
	ck_assert_int_le(offset_error_ns(&offset.now),
	    world.there_ns + world.back_ns + drift_ns);
	ck_assert_int_le(offset_error_ns(&offset.best),
	    world.there_ns + world.back_ns + drift_ns / 2);
}
END_TEST

START_TEST(nanoseconds_yield_half_a_round_trip)
{
	struct world world = { .now_ns = START_NS,
		.offset_ns = -987654321,
		.there_ns = 50000,
		.back_ns = 50000,
		.noise_ns = 100000,
		.resolution_ns = 1,
		.has_zone = true };
	struct offset offset = { 0 };
	int64_t gap_ns, least_ns = SECOND_NS;

	srandom((unsigned)_i);
	for (int i = 0; i < 20; i++) {
		int64_t before_ns = world.now_ns;

		ask(&world, &offset, &gap_ns);
		if (world.now_ns - before_ns < least_ns)
			least_ns = world.now_ns - before_ns;
		world.now_ns = before_ns + SECOND_NS;
	}
	/* Drift within the round trip is part of it. */
	ck_assert_int_le(offset_error_ns(&offset.best),
	    least_ns / 2 + least_ns * OFFSET_DRIFT_PPM / 1000000 + 3);
}
END_TEST

START_TEST(a_step_is_told_from_drift)
{
	static const struct {
		int64_t step_ns;
		enum offset_fit fit;
	} cases[] = {
		{ 1000, OFFSET_FITS }, /* within the round trip */
		{ 1000000, OFFSET_DRIFT },
		{ -1000000, OFFSET_DRIFT },
		{ 5000000, OFFSET_STEP },
		{ -5000000, OFFSET_STEP },
		{ 3600 * SECOND_NS, OFFSET_STEP },
	};
	struct world world = { .now_ns = START_NS,
		.there_ns = 50000,
		.back_ns = 50000,
		.resolution_ns = 1,
		.has_zone = true };
	struct offset offset = { 0 };
	int64_t gap_ns, step_ns = cases[_i].step_ns;

	ask(&world, &offset, &gap_ns);
	ck_assert_int_eq(gap_ns, 0);
	world.now_ns += SECOND_NS;
	world.offset_ns += step_ns;
	ck_assert_int_eq(ask(&world, &offset, &gap_ns), cases[_i].fit);
	assert_inside(&world, &offset.now);
	if (cases[_i].fit == OFFSET_FITS)
		return;
	ck_assert_int_gt(gap_ns, 0);
	ck_assert_int_le(gap_ns, llabs(step_ns));
	ck_assert_int_ge(gap_ns, llabs(step_ns) - 500000);
	assert_inside(&world, &offset.best);
	ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
}
END_TEST

START_TEST(our_own_step_moves_the_range)
{
	struct world world = { .now_ns = START_NS,
		.offset_ns = 5 * SECOND_NS,
		.there_ns = 50000,
		.back_ns = 50000,
		.resolution_ns = 1000,
		.has_zone = true };
	struct offset offset = { 0 };
	int64_t gap_ns;

	ask(&world, &offset, &gap_ns);
	offset_shift(&offset, 7 * SECOND_NS, 100);
	world.now_ns += 7 * SECOND_NS;
	world.offset_ns -= 7 * SECOND_NS;
	assert_inside(&world, &offset.now);
	assert_inside(&world, &offset.best);
	ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
	assert_inside(&world, &offset.now);
}
END_TEST

/* Quarters of an hour from UTC, and how far the clocks are apart, in s. */
START_TEST(finds_the_zone_of_a_stamp_without_one)
{
	static const int64_t cases[][2] = { { 0, 0 }, { 4, 0 }, { -48, 0 },
		{ 56, 0 }, { 23, 0 }, { -14, 440 }, { 51, -440 }, { 56, 440 },
		{ -48, -440 } };
	struct world world = { .now_ns = START_NS,
		.offset_ns = cases[_i][1] * SECOND_NS,
		.there_ns = 50000000,
		.back_ns = 50000000,
		.resolution_ns = SECOND_NS,
		.zone_ns = cases[_i][0] * 900 * SECOND_NS };
	struct offset offset = { 0 };
	int64_t gap_ns;

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
		ck_assert_int_eq(offset.zone_ns, world.zone_ns);
		assert_inside(&world, &offset.now);
	}
	world.zone_ns += 3600 * SECOND_NS;
	enum offset_fit fit = ask(&world, &offset, &gap_ns);
	if (world.zone_ns > 14 * 3600 * SECOND_NS)
		return;
	ck_assert_int_eq(fit, OFFSET_NEW_ZONE);
	ck_assert_int_eq(offset.zone_ns, world.zone_ns);
	assert_inside(&world, &offset.now);
	ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
}
END_TEST

/* Then the stamps count as UTC. */
START_TEST(no_zone_is_a_day_away)
{
	struct world world = { .now_ns = START_NS,
		.offset_ns = -86400 * SECOND_NS,
		.there_ns = 50000,
		.back_ns = 50000,
		.resolution_ns = SECOND_NS };
	struct offset offset = { 0 };
	int64_t gap_ns;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_FITS);
		ck_assert_int_eq(offset.zone_ns, 0);
		assert_inside(&world, &offset.now);
	}
	world.offset_ns = 0;
	world.zone_ns = 3600 * SECOND_NS;
	ck_assert_int_eq(ask(&world, &offset, &gap_ns), OFFSET_STEP);
	ck_assert_int_eq(offset.zone_ns, world.zone_ns);
	assert_inside(&world, &offset.now);
}
END_TEST

START_TEST(within_means_all_of_the_range)
{
	struct offset_range range = { -5, 10, START_NS };

	ck_assert(offset_is_within(&range, 10));
	ck_assert(!offset_is_within(&range, 9));
	range.low_ns = -11;
	ck_assert(!offset_is_within(&range, 10));
	ck_assert_int_eq(offset_error_ns(&range), 11);
}
END_TEST

START_TEST(asks_when_it_was_told_to_if_no_turn_is_near)
{
	struct offset offset = { 0 };
	struct world world = { .now_ns = START_NS,
		.offset_ns = SECOND_NS / 2,
		.there_ns = 1000,
		.back_ns = 1000,
		.resolution_ns = SECOND_NS,
		.has_zone = true };
	int64_t gap_ns, wanted_ns = START_NS + 10 * SECOND_NS;

	ck_assert_int_eq(offset_next_ns(&offset, wanted_ns, SECOND_NS, 0),
	    wanted_ns);
	ask(&world, &offset, &gap_ns);
	/* The middle of the range is 0.5 s off: at wanted_ns. */
	ck_assert_int_lt(llabs(
			     offset_next_ns(&offset, wanted_ns, SECOND_NS, 0) -
			     wanted_ns) -
			     SECOND_NS / 2,
	    10000);
	ck_assert_int_eq(offset_next_ns(&offset, wanted_ns, 1000000, 0),
	    wanted_ns);
	/* A stamp that turns within a round trip does not help. */
	ck_assert_int_eq(offset_next_ns(&offset, wanted_ns, SECOND_NS,
			     SECOND_NS),
	    wanted_ns);
}
END_TEST

START_TEST(allows_multiples_of_a_quarter_without_a_zone)
{
	bool has_zone = _i % 2 == 1;
	int64_t ahead_ns = (_i / 2 - 1) * 600 * SECOND_NS, gap_ns;
	struct world world = { .now_ns = START_NS,
		.offset_ns = ahead_ns,
		.resolution_ns = SECOND_NS,
		.has_zone = has_zone };
	struct offset offset = { 0 };

	ask(&world, &offset, &gap_ns);
	ck_assert(offset_allows(&offset, ahead_ns));
	ck_assert(!offset_allows(&offset, ahead_ns + 7 * SECOND_NS));
	ck_assert(!offset_allows(&offset, ahead_ns - 450 * SECOND_NS));
	for (int64_t i = -3; i <= 3; i++)
		ck_assert(
		    offset_allows(&offset, ahead_ns + i * OFFSET_QUARTER_NS) ==
		    (!has_zone || i == 0));
}
END_TEST

Suite *
offset_suite(void)
{
	Suite *suite = suite_create("offset");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, the_truth_is_always_inside, 0, 10);
	tcase_add_loop_test(tests, the_best_range_holds_for_its_moment, 0, 10);
	tcase_add_loop_test(tests, late_replies_hold_too, 0, 20);
	tcase_add_loop_test(tests, whole_seconds_yield_a_round_trip, 0, 10);
	tcase_add_loop_test(tests, nanoseconds_yield_half_a_round_trip, 0, 10);
	tcase_add_loop_test(tests, a_step_is_told_from_drift, 0, 6);
	tcase_add_test(tests, our_own_step_moves_the_range);
	tcase_add_loop_test(tests, finds_the_zone_of_a_stamp_without_one, 0, 9);
	tcase_add_test(tests, no_zone_is_a_day_away);
	tcase_add_test(tests, within_means_all_of_the_range);
	tcase_add_test(tests, asks_when_it_was_told_to_if_no_turn_is_near);
	tcase_add_loop_test(tests, allows_multiples_of_a_quarter_without_a_zone,
	    0, 6);
	suite_add_tcase(suite, tests);
	return suite;
}
