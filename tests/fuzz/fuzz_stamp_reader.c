/*
 * Reads the input as a stamp.  Where it is one that has a single form, the time
 * that was read must render to the same bytes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"
#include "stamp/stamp_reader.h"

#define SECOND_NS INT64_C(1000000000)
#define TEXT_MAX 64

static void
ensure(bool condition)
{
	if (!condition)
		abort();
}

/* Writes the digits of a fraction, without the point. */
static void
render_fraction(const struct stamp_reading *reading, char *to)
{
	int64_t left = (reading->at_ns % SECOND_NS + SECOND_NS) % SECOND_NS;

	for (int64_t unit = SECOND_NS / 10; unit >= reading->resolution_ns;
	     unit /= 10) {
		*to++ = (char)('0' + left / unit);
		left %= unit;
	}
	*to = '\0';
}

static bool
is_rendered(const char *data, size_t size, const char *pattern,
    const struct stamp_reading *reading)
{
	char text[TEXT_MAX], whole[2 * TEXT_MAX], fraction[16];
	int64_t ns = (reading->at_ns % SECOND_NS + SECOND_NS) % SECOND_NS;
	time_t second = (reading->at_ns - ns) / SECOND_NS;
	const char *zone = strchr(pattern, 'Z');
	struct tm tm;

	gmtime_r(&second, &tm);
	strftime(text, sizeof(text), pattern, &tm);
	render_fraction(reading, fraction);
	if (zone != NULL)
		text[strlen(text) - 1] = '\0';
	const char *point = strchr(pattern, '.') == NULL &&
	                            fraction[0] != '\0' && zone != NULL
	                      ? "."
	                      : "";
	int len = snprintf(whole, sizeof(whole), "[%s%s%s%s] ", text, point,
	    fraction, zone != NULL ? "Z" : "");
	return (size_t)len == size && memcmp(data, whole, size) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct stamp_reading reading;

	setenv("TZ", "UTC0", 1);
	if (size > TEXT_MAX || !stamp_reader_read(text, size, &reading))
		return 0;
	int64_t unit = SECOND_NS;
	while (unit > reading.resolution_ns)
		unit /= 10;
	ensure(reading.resolution_ns == unit && unit >= 1);
	ensure(reading.at_ns % unit == 0);
	if (text[1] >= 'A')
		ensure(is_rendered(text, size,
		    text[9] == '0' ? "%a %b %d %H:%M:%S %Y"
				   : "%a %b %e %H:%M:%S %Y",
		    &reading));
	else if (size > 11 && memchr(text, '-', size) == NULL)
		ensure(is_rendered(text, size,
		    memchr(text, '.', size) != NULL ? "%s." : "%s", &reading));
	else if (text[size - 3] == 'Z' && text[11] == 'T')
		ensure(is_rendered(text, size, "%Y-%m-%dT%H:%M:%SZ", &reading));
	return 0;
}
