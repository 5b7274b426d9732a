#include <stdlib.h>
#include <string.h>

#include "http/exposition.h"
#include "unit/suites.h"

static char *text;
static size_t len;

static struct exposition
begin(bool is_open_metrics)
{
	return (struct exposition){
		.out = open_memstream(&text, &len),
		.is_open_metrics = is_open_metrics,
	};
}

static void
expect(const struct exposition *exposition, const char *expected)
{
	fclose(exposition->out);
	ck_assert_str_eq(text, expected);
	free(text);
}

static void
write_all(struct exposition *to)
{
	static const uint64_t limits[] = { 5000, 2500000000, UINT64_MAX };
	static const uint64_t buckets[] = { 1, 2, 3 };
	const struct exposition_label labels[] = { { "a", "x\"y\\z\n\xff" },
		{ "b", "" }, { 0 } };

	exposition_begin(to, "counter", "in_bytes", "Help.");
	exposition_add(to, labels, 7);
	exposition_begin(to, "gauge", "open", "Help.");
	exposition_add(to, NULL, UINT64_MAX);
	exposition_begin(to, "info", "build", "Help.");
	exposition_add(to, labels + 1, 1);
	exposition_begin(to, "histogram", "d_seconds", "Help.");
	exposition_add_histogram(to, (struct exposition_label){ "p", "q" },
	    buckets, limits, 1000000001);
	exposition_end(to);
}

START_TEST(prometheus_text)
{
	struct exposition to = begin(false);

	write_all(&to);
	expect(&to, "# HELP in_bytes_total Help.\n"
		    "# TYPE in_bytes_total counter\n"
		    "in_bytes_total{a=\"x\\\"y\\\\z\\\\x0a\\\\xff\",b=\"\"} 7\n"
		    "# HELP open Help.\n"
		    "# TYPE open gauge\n"
		    "open 18446744073709551615\n"
		    "# HELP build_info Help.\n"
		    "# TYPE build_info gauge\n"
		    "build_info{b=\"\"} 1\n"
		    "# HELP d_seconds Help.\n"
		    "# TYPE d_seconds histogram\n"
		    "d_seconds_bucket{p=\"q\",le=\"5e-06\"} 1\n"
		    "d_seconds_bucket{p=\"q\",le=\"2.5\"} 3\n"
		    "d_seconds_bucket{p=\"q\",le=\"+Inf\"} 6\n"
		    "d_seconds_sum{p=\"q\"} 1.000000001\n"
		    "d_seconds_count{p=\"q\"} 6\n");
}
END_TEST

START_TEST(open_metrics)
{
	struct exposition to = begin(true);

	write_all(&to);
	expect(&to, "# HELP in_bytes Help.\n"
		    "# TYPE in_bytes counter\n"
		    "# UNIT in_bytes bytes\n"
		    "in_bytes_total{a=\"x\\\"y\\\\z\\\\x0a\\\\xff\",b=\"\"} 7\n"
		    "# HELP open Help.\n"
		    "# TYPE open gauge\n"
		    "open 18446744073709551615\n"
		    "# HELP build Help.\n"
		    "# TYPE build info\n"
		    "build_info{b=\"\"} 1\n"
		    "# HELP d_seconds Help.\n"
		    "# TYPE d_seconds histogram\n"
		    "# UNIT d_seconds seconds\n"
		    "d_seconds_bucket{p=\"q\",le=\"5e-06\"} 1\n"
		    "d_seconds_bucket{p=\"q\",le=\"2.5\"} 3\n"
		    "d_seconds_bucket{p=\"q\",le=\"+Inf\"} 6\n"
		    "d_seconds_sum{p=\"q\"} 1.000000001\n"
		    "d_seconds_count{p=\"q\"} 6\n"
		    "# EOF\n");
}
END_TEST

#define OPEN "application/openmetrics-text"

START_TEST(the_client_chooses)
{
	static const struct {
		const char *accept;
		bool is_open;
	} choices[] = {
		{ "", false },
		{ "*/*", false },
		{ "text/plain", false },
		{ OPEN, true },
		{ OPEN
		    "; version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		    true },
		{ "text/plain;q=0.4, APPLICATION/OpenMetrics-Text;q=0.5",
		    true },
		{ OPEN ";q=0.4,text/plain;q=0.5", false },
		{ OPEN ";q=0", false },
		{ OPEN ",text/plain", true },
		{ OPEN "s", false },
		{ "x" OPEN, false },
		{ ",,, ,", false },
		{ OPEN ";q=", false },
		{ OPEN ";q=-1e999", false },
		{ OPEN ",text/html;q=0", true },
	};

	for (size_t i = 0; i < sizeof(choices) / sizeof(*choices); i++)
		ck_assert_msg(exposition_prefers_open_metrics(
				  choices[i].accept) == choices[i].is_open,
		    "%s", choices[i].accept);
}
END_TEST

Suite *
exposition_suite(void)
{
	Suite *suite = suite_create("exposition");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, prometheus_text);
	tcase_add_test(tests, open_metrics);
	tcase_add_test(tests, the_client_chooses);
	suite_add_tcase(suite, tests);
	return suite;
}
