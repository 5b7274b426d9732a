#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "stream/slots.h"
#include "unit/suites.h"

static int
has_room(const struct slots *slots, int timeout_ms)
{
	struct pollfd room = { .fd = slots->room_fd, .events = POLLIN };

	return poll(&room, 1, timeout_ms);
}

START_TEST(room_is_told_to_who_was_refused)
{
	struct slots slots;

	ck_assert_int_eq(slots_init(&slots, 2), 0);
	ck_assert(slots_take(&slots));
	ck_assert(slots_take(&slots));
	slots_give(&slots);
	ck_assert_int_eq(has_room(&slots, 0), 0);
	ck_assert(slots_take(&slots));
	ck_assert(!slots_take(&slots));
	ck_assert_int_eq(has_room(&slots, 0), 0);
	slots_give(&slots);
	ck_assert_int_eq(has_room(&slots, 0), 1);
	slots_clear_room(&slots);
	ck_assert_int_eq(has_room(&slots, 0), 0);
	ck_assert(slots_take(&slots));
	slots_destroy(&slots);
}
END_TEST

START_TEST(a_new_maximum_holds_at_once)
{
	struct slots slots;

	ck_assert_int_eq(slots_init(&slots, 1), 0);
	ck_assert(slots_take(&slots));
	ck_assert(!slots_take(&slots));
	slots_set_max(&slots, 2);
	ck_assert_int_eq(has_room(&slots, 0), 1);
	ck_assert(slots_take(&slots));
	slots_set_max(&slots, 1);
	ck_assert(!slots_take(&slots));
	slots_give(&slots);
	ck_assert(!slots_take(&slots));
	slots_destroy(&slots);
}
END_TEST

#define ROUNDS 10000

static void *
give_many(void *arg)
{
	struct slots *slots = arg;

	for (int given = 0; given < ROUNDS;)
		if (slots->taken > 0) {
			slots_give(slots);
			given++;
		} else {
			sched_yield();
		}
	return NULL;
}

/* A lost wake-up would leave the taker waiting for ever. */
START_TEST(no_wake_up_is_lost)
{
	struct slots slots;
	pthread_t giver;

	ck_assert_int_eq(slots_init(&slots, 1), 0);
	pthread_create(&giver, NULL, give_many, &slots);
	for (int taken = 0; taken < ROUNDS;) {
		if (slots_take(&slots)) {
			taken++;
			continue;
		}
		ck_assert_int_eq(has_room(&slots, -1), 1);
		slots_clear_room(&slots);
	}
	pthread_join(giver, NULL);
	slots_destroy(&slots);
}
END_TEST

Suite *
slots_suite(void)
{
	Suite *suite = suite_create("slots");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, room_is_told_to_who_was_refused);
	tcase_add_test(tests, a_new_maximum_holds_at_once);
	tcase_add_test(tests, no_wake_up_is_lost);
	suite_add_tcase(suite, tests);
	return suite;
}
