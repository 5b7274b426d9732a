#include <string.h>

#include "base/counters.h"
#include "unit/suites.h"

START_TEST(sums_threads)
{
	static struct counters a, b, sum;

	counters_add(&a, COUNTER_ACCEPTED, 5);
	counters_add(&a, COUNTER_CLOSED_CLIENT, 1);
	counters_add(&b, COUNTER_CLOSED_STOP, 2);
	counters_add_traffic(&a, PROTOCOL_UDP, TRAFFIC_BYTES_IN, 7);
	counters_add_traffic(&b, PROTOCOL_UDP, TRAFFIC_MESSAGES_IN, 1);
	counters_add_traffic(&b, PROTOCOL_UDP, TRAFFIC_BYTES_IN, 3);
	counters_sum(&sum, &a);
	counters_sum(&sum, &b);
	ck_assert_uint_eq(counters_get(&sum, COUNTER_ACCEPTED), 5);

	char text[COUNTERS_TEXT_MAX];
	counters_text(&sum, COUNTERS_LINE, text);
	ck_assert_ptr_nonnull(strstr(text, "open=2 accepted=5 "));
	ck_assert_ptr_nonnull(strstr(text, " closed_stop=2 "));
	ck_assert_ptr_nonnull(strstr(text,
	    " udp_messages_in=1 udp_bytes_in=10 udp_messages_out=0 "
	    "udp_bytes_out=0"));
	ck_assert_ptr_null(strstr(text, "tcp_"));
}
END_TEST

/* Each delay is in the first bucket whose limit it does not exceed. */
START_TEST(delays_fall_into_buckets)
{
	static struct counters a, sum;
	static const struct {
		uint64_t ns;
		int bucket;
	} delays[] = { { 0, 0 }, { 5000, 0 }, { 5001, 1 }, { 10000, 1 },
		{ 2500000000, COUNTER_DELAYS - 2 },
		{ 2500000001, COUNTER_DELAYS - 1 },
		{ UINT64_MAX / 4, COUNTER_DELAYS - 1 } };

	for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++) {
		memset(&a, 0, sizeof(a));
		memset(&sum, 0, sizeof(sum));
		counters_add_delay(&a, PROTOCOL_TCP, delays[i].ns, 3);
		counters_sum(&sum, &a);
		counters_sum(&sum, &a);
		ck_assert_uint_eq(sum.delay[PROTOCOL_TCP][delays[i].bucket], 6);
		if (delays[i].ns < UINT64_MAX / 8)
			ck_assert_uint_eq(sum.delay_ns[PROTOCOL_TCP],
			    6 * delays[i].ns);
	}
	for (int i = 1; i < COUNTER_DELAYS; i++)
		ck_assert_uint_gt(counters_delays_ns[i],
		    counters_delays_ns[i - 1]);
}
END_TEST

START_TEST(one_a_line_and_as_json)
{
	static struct counters counters;
	char text[COUNTERS_TEXT_MAX];

	counters_add(&counters, COUNTER_ACCEPTED, 3);
	counters_text(&counters, COUNTERS_LINES, text);
	ck_assert_ptr_eq(strstr(text, "open 3\naccepted 3\ntaken_over 0\n"),
	    text);
	ck_assert_ptr_nonnull(strstr(text, "\nudp_bytes_in 0\n"));
	counters_text(&counters, COUNTERS_JSON, text);
	ck_assert_ptr_eq(strstr(text, "{\"open\": 3, \"accepted\": 3, "), text);
	ck_assert_ptr_nonnull(strstr(text, ", \"udp_bytes_in\": 0, "));
}
END_TEST

START_TEST(the_short_form_has_no_zeros)
{
	static struct counters counters;
	char text[COUNTERS_TEXT_MAX];

	ck_assert_str_eq(counters_text(&counters, COUNTERS_SHORT, text), "");
	counters_add(&counters, COUNTER_DROPPED_RATE, 2);
	counters_add_traffic(&counters, PROTOCOL_UDP, TRAFFIC_MESSAGES_IN, 3);
	ck_assert_str_eq(counters_text(&counters, COUNTERS_SHORT, text),
	    "dropped_rate=2 udp_messages_in=3");
}
END_TEST

START_TEST(largest_values_fit)
{
	static struct counters all;
	char text[COUNTERS_TEXT_MAX];

	for (int i = 0; i < COUNTER_EVENTS; i++)
		counters_add(&all, (enum counter)i, UINT64_MAX);
	for (int i = 0; i < PROTOCOL_COUNT; i++)
		for (int j = 0; j < TRAFFIC_FIELDS; j++)
			counters_add_traffic(&all, (enum protocol)i,
			    (enum traffic)j, UINT64_MAX);
	counters_text(&all, COUNTERS_LINE, text);
	ck_assert_ptr_nonnull(
	    strstr(text, "unix-seqpacket_bytes_out=18446744073709551615"));
	counters_text(&all, COUNTERS_LINES, text);
	ck_assert_ptr_nonnull(
	    strstr(text, "unix-seqpacket_bytes_out 18446744073709551615\n"));
	counters_text(&all, COUNTERS_JSON, text);
	ck_assert_ptr_nonnull(strstr(text,
	    "\"unix-seqpacket_bytes_out\": 18446744073709551615}\n"));
}
END_TEST

Suite *
counters_suite(void)
{
	Suite *suite = suite_create("counters");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, sums_threads);
	tcase_add_test(tests, delays_fall_into_buckets);
	tcase_add_test(tests, one_a_line_and_as_json);
	tcase_add_test(tests, the_short_form_has_no_zeros);
	tcase_add_test(tests, largest_values_fit);
	suite_add_tcase(suite, tests);
	return suite;
}
