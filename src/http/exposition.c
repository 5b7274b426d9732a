#include "http/exposition.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/param.h>

#include "base/message.h"

#define NS_A_SECOND 1000000000
#define VALUE_MAX 1024

/* The weight that accept gives to a media type, in thousandths; 0: none. */
static int
find_weight(const char *accept, const char *type)
{
	size_t len = strlen(type);

	while (*accept != '\0') {
		accept += strspn(accept, ", \t");
		const char *end = accept + strcspn(accept, ",");
		bool is_it = strncasecmp(accept, type, len) == 0 &&
		             strchr(";, \t", accept[len]) != NULL;
		const char *q = strcasestr(accept, "q=");
		double weight = 1;
		if (is_it && q != NULL && q < end)
			weight = strtod(q + 2, NULL);
		if (is_it)
			return weight > 0 ? (int)(MIN(weight, 1) * 1000) : 0;
		accept = end;
	}
	return 0;
}

bool
exposition_prefers_open_metrics(const char *accept)
{
	int weight = find_weight(accept, "application/openmetrics-text");

	return weight > 0 && weight >= find_weight(accept, "text/plain");
}

static bool
has_end(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

void
exposition_begin(struct exposition *exposition, const char *type,
    const char *name, const char *help)
{
	bool is_open = exposition->is_open_metrics;
	const char *unit = has_end(name, "_seconds") ? "seconds"
	                 : has_end(name, "_bytes")   ? "bytes"
	                                             : NULL;

	exposition->type = type;
	snprintf(exposition->name, sizeof(exposition->name), "%s", name);
	exposition->suffix = strcmp(type, "counter") == 0 ? "_total"
	                   : strcmp(type, "info") == 0    ? "_info"
	                                                  : "";
	const char *suffix = is_open ? "" : exposition->suffix;
	/* The older format has no infos. */
	if (!is_open && strcmp(type, "info") == 0)
		type = "gauge";
	fprintf(exposition->out, "# HELP %s%s %s\n", name, suffix, help);
	fprintf(exposition->out, "# TYPE %s%s %s\n", name, suffix, type);
	if (is_open && unit != NULL)
		fprintf(exposition->out, "# UNIT %s %s\n", name, unit);
}

/* Only text that a terminal may show; it is UTF-8 then. */
static void
put_label(FILE *out, char before, const struct exposition_label *label)
{
	char value[VALUE_MAX];

	message_escape(value, sizeof(value), label->value);
	fprintf(out, "%c%s=\"", before, label->name);
	for (const char *at = value; *at != '\0'; at++)
		fprintf(out, *at == '"' || *at == '\\' ? "\\%c" : "%c", *at);
	fputc('"', out);
}

static void
put_name(const struct exposition *exposition, const char *suffix,
    const struct exposition_label *labels)
{
	char before = '{';

	fprintf(exposition->out, "%s%s", exposition->name, suffix);
	for (; labels != NULL && labels->name != NULL; labels++, before = ',')
		put_label(exposition->out, before, labels);
	fputs(before == ',' ? "} " : " ", exposition->out);
}

void
exposition_add(const struct exposition *exposition,
    const struct exposition_label *labels, uint64_t value)
{
	put_name(exposition, exposition->suffix, labels);
	fprintf(exposition->out, "%" PRIu64 "\n", value);
}

static void
put_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / NS_A_SECOND,
	    ns % NS_A_SECOND);
}

void
exposition_add_ns(const struct exposition *exposition,
    const struct exposition_label *labels, uint64_t ns)
{
	put_name(exposition, exposition->suffix, labels);
	put_seconds(exposition->out, ns);
}

/* The limit of a bucket in its shortest form, which is its identity. */
static void
write_limit(char *text, size_t size, uint64_t ns)
{
	if (ns == UINT64_MAX)
		snprintf(text, size, "+Inf");
	else
		snprintf(text, size, "%g", (double)ns / NS_A_SECOND);
}

void
exposition_add_histogram(const struct exposition *exposition,
    struct exposition_label label, const uint64_t *buckets,
    const uint64_t *limits_ns, uint64_t sum_ns)
{
	char limit[32] = "";
	struct exposition_label labels[] = { label, { "le", limit }, { 0 } };
	uint64_t count = 0;

	for (int i = 0; i == 0 || limits_ns[i - 1] != UINT64_MAX; i++) {
		count += buckets[i];
		write_limit(limit, sizeof(limit), limits_ns[i]);
		put_name(exposition, "_bucket", labels);
		fprintf(exposition->out, "%" PRIu64 "\n", count);
	}
	labels[1].name = NULL;
	put_name(exposition, "_sum", labels);
	put_seconds(exposition->out, sum_ns);
	put_name(exposition, "_count", labels);
	fprintf(exposition->out, "%" PRIu64 "\n", count);
}

void
exposition_end(const struct exposition *exposition)
{
	if (exposition->is_open_metrics)
		fputs("# EOF\n", exposition->out);
}
