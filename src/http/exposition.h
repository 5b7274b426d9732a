#ifndef HTTP_EXPOSITION_H
#define HTTP_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Writes metrics in the text format of Prometheus 0.0.4, or in OpenMetrics 1.0.
 * A family begins with its name, from which the rest follows: one that ends
 * with _seconds or _bytes has this unit, and the samples of counters and infos
 * end with _total and _info.  Pure but for the stream; errors stay in it.
 */
struct exposition {
	FILE *out;
	bool is_open_metrics;
	const char *type, *suffix; /* of the family */
	char name[80];
};

#define EXPOSITION_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPEN_METRICS                                                \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Whether a client that sends this Accept header prefers OpenMetrics. */
bool exposition_prefers_open_metrics(const char *accept);

/* A label; an array of them ends with a name that is NULL. */
struct exposition_label {
	const char *name, *value;
};

/* type: "counter", "gauge", "info" or "histogram". */
void exposition_begin(struct exposition *exposition, const char *type,
    const char *name, const char *help);

/* A sample of the family; labels may be NULL. */
void exposition_add(const struct exposition *exposition,
    const struct exposition_label *labels, uint64_t value);

/* The same in seconds. */
void exposition_add_ns(const struct exposition *exposition,
    const struct exposition_label *labels, uint64_t ns);

/*
 * A histogram: a bucket for each of limits_ns, of which UINT64_MAX is the last,
 * and the sum of all values.
 */
void exposition_add_histogram(const struct exposition *exposition,
    struct exposition_label label, const uint64_t *buckets,
    const uint64_t *limits_ns, uint64_t sum_ns);

/* What follows the last family. */
void exposition_end(const struct exposition *exposition);

#endif
