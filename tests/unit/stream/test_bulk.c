#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness/daemon.h"
#include "stream/bulk.h"
#include "stream/conn.h"
#include "unit/suites.h"

static struct bulk bulk;
static char wanted[BULK_OUT];

/* Stamps the first len bytes of the input byte by byte; returns the length. */
static size_t
stamp_slowly(size_t len, bool line_start, struct framing_text stamp,
    size_t *stamps)
{
	size_t out = 0;

	*stamps = 0;
	for (size_t i = 0; i < len; i++) {
		if (line_start) {
			memcpy(wanted + out, stamp.bytes, stamp.len);
			out += stamp.len;
			++*stamps;
		}
		wanted[out++] = bulk.in[i];
		line_start = bulk.in[i] == '\n';
	}
	return out;
}

static void
check_parts(int count, size_t len, bool line_start, struct framing_text stamp)
{
	const struct bulk_part *last = &bulk.parts[count - 1];
	size_t stamps, begin = 0;

	ck_assert_uint_le(last->in_end, len);
	ck_assert_uint_eq(last->out_end,
	    stamp_slowly(last->in_end, line_start, stamp, &stamps));
	ck_assert_mem_eq(bulk.out, wanted, last->out_end);
	ck_assert_uint_eq(last->stamps, stamps);
	for (int i = 0; i < count; i++) {
		const struct bulk_part *part = &bulk.parts[i];
		ck_assert_uint_gt(part->out_end, begin);
		ck_assert_uint_le(part->out_end - begin, CONN_KEPT_MAX);
		ck_assert_uint_eq(part->out_end,
		    stamp_slowly(part->in_end, line_start, stamp, &stamps));
		ck_assert_uint_eq(part->stamps, stamps);
		ck_assert(
		    part->line_start == (bulk.in[part->in_end - 1] == '\n'));
		begin = part->out_end;
	}
	/* It stops early only where the output is nearly full. */
	if (last->in_end < len)
		ck_assert_uint_gt(last->out_end, BULK_OUT - CONN_KEPT_MAX);
}

/* Stamps of all lengths, lines of all lengths. */
START_TEST(each_part_is_stamped_and_fits_what_may_be_kept)
{
	static char text[STAMP_TEXT_MAX];
	static const size_t stamp_lens[] = { 1, 27, 64, 1000, STAMP_TEXT_MAX };
	static const int line_lens[] = { 1, 2, 3, 64, 1000, 50000, 1 << 30 };

	memset(text, 's', sizeof(text));
	srandom((unsigned)_i);
	for (size_t i = 0; i < sizeof(bulk.in); i++)
		bulk.in[i] = random() % line_lens[_i] == 0 ? '\n' : 'x';
	for (size_t i = 0; i < sizeof(stamp_lens) / sizeof(*stamp_lens); i++) {
		struct framing_text stamp = { text, stamp_lens[i] };
		for (size_t len = 1; len <= sizeof(bulk.in);
		     len = len * 3 + (size_t)random() % 3) {
			bool line_start = len % 2 == 0;
			int count = bulk_stamp(&bulk, len, line_start, stamp);
			ck_assert_int_le(count, BULK_PARTS);
			check_parts(count, len, line_start, stamp);
		}
		int count = bulk_stamp(&bulk, sizeof(bulk.in), true, stamp);
		check_parts(count, sizeof(bulk.in), true, stamp);
	}
}
END_TEST

static void
note(struct bulk_loan *loan, const void *alone, bool is_full, int rounds)
{
	for (; rounds > 0; rounds--) {
		loan->is_full = is_full;
		bulk_note_round(loan, alone);
	}
}

START_TEST(who_is_busy_and_alone_for_a_while_gets_it)
{
	struct bulk_loan loan = { .bulk = NULL };
	int one = 0, other = 0;

	note(&loan, &one, true, BULK_ROUNDS);
	ck_assert_ptr_null(loan.bulk);
	/* Rounds with little to receive do not count. */
	note(&loan, &one, false, 10 * BULK_ROUNDS);
	ck_assert_ptr_null(loan.bulk);
	note(&loan, &one, true, 1);
	ck_assert_ptr_nonnull(loan.bulk);
	note(&loan, &one, false, BULK_ROUNDS);
	note(&loan, &one, true, BULK_ROUNDS);
	ck_assert_ptr_nonnull(loan.bulk);
	note(&loan, &other, true, 1);
	ck_assert_ptr_null(loan.bulk);
	note(&loan, &other, true, BULK_ROUNDS);
	ck_assert_ptr_nonnull(loan.bulk);
	note(&loan, NULL, true, 1);
	ck_assert_ptr_null(loan.bulk);
}
END_TEST

START_TEST(who_has_neighbours_does_not_get_it)
{
	struct bulk_loan loan = { .bulk = NULL };
	int one = 0, other = 0;

	for (int i = 0; i < 10; i++) {
		note(&loan, &one, true, BULK_ROUNDS);
		note(&loan, _i == 0 ? &other : NULL, true, 1);
		ck_assert_ptr_null(loan.bulk);
	}
}
END_TEST

/* It goes on without, and gets it when there is memory. */
START_TEST(without_memory_there_is_no_loan)
{
	struct bulk_loan loan = { .bulk = NULL };
	struct rlimit none = { 0, RLIM_INFINITY };
	int one = 0;

	note(&loan, &one, true, 1);
	if (daemon_is_bare())
		setrlimit(RLIMIT_AS, &none);
	note(&loan, &one, true, BULK_ROUNDS);
	none.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_AS, &none);
	ck_assert(loan.bulk == NULL || !daemon_is_bare());
	note(&loan, &one, true, BULK_ROUNDS);
	ck_assert_ptr_nonnull(loan.bulk);
	note(&loan, NULL, true, 1);
}
END_TEST

Suite *
bulk_suite(void)
{
	Suite *suite = suite_create("bulk");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests,
	    each_part_is_stamped_and_fits_what_may_be_kept, 0, 7);
	tcase_add_test(tests, who_is_busy_and_alone_for_a_while_gets_it);
	tcase_add_test(tests, without_memory_there_is_no_loan);
	tcase_add_loop_test(tests, who_has_neighbours_does_not_get_it, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
