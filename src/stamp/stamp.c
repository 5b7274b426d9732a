#include "stamp/stamp.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo/"
#define SECONDS '\4'      /* since 1970, in a compiled pattern */
#define PATTERN_SIZE 1024 /* 32 times %s has 20 bytes each */

/*
 * The time zone belongs to the process: strftime(3) and tzset(3) read TZ.  The
 * lock of base/clock, taken once a second by each thread and for each log line,
 * keeps rendering and setting apart.  Other threads search the environment
 * without it, as getaddrinfo(3) does, but compare names only: so the entry of
 * TZ is put there before they exist, and from then on only its value changes,
 * in place.
 */
static char zone_entry[PATH_MAX] = "TZ=";
static char *const zone_value = zone_entry + sizeof("TZ=") - 1;
static char local_value[PATH_MAX] = ":/etc/localtime"; /* for "local" */

/* Learned since stamp_set_zone: it takes 2 ms, and many may have the same. */
static struct known_zone {
	char name[STAMP_ZONE_MAX];
	struct zone zone;
} * known;
static size_t known_count; /* with the lock, as known */

static const struct {
	const char *name;
	bool epoch, zone_colon;
	const char *pattern;
} named_formats[] = {
	{ "ctime", false, false, "%a %b %e %H:%M:%S %Y" },
	{ "rfc3339", false, true, "%Y-%m-%dT%H:%M:%S%z" },
	{ "rfc3339-ms", false, true, "%Y-%m-%dT%H:%M:%S.%3N%z" },
	{ "rfc3339-us", false, true, "%Y-%m-%dT%H:%M:%S.%6N%z" },
	{ "rfc3339-ns", false, true, "%Y-%m-%dT%H:%M:%S.%9N%z" },
	{ "epoch", true, false, "" },
	{ "epoch-ms", true, false, "%3N" },
	{ "epoch-us", true, false, "%6N" },
	{ "epoch-ns", true, false, "%9N" },
};

/* The length of the conversion at "at"; 0 when strftime(3) has none such. */
static size_t
conversion_length(const char *at)
{
	size_t len = 1 + strspn(at + 1, "_-0^#");

	if (at[len] != '\0' && strchr("EO", at[len]) != NULL)
		len++;
	if (at[len] == '\0' ||
	    strchr("aAbBcCdDeFgGhHIjklmMpPrRsSTuUVwWxXyYzZ%", at[len]) == NULL)
		return 0;
	return len + 1;
}

/* Copies pattern with each fraction replaced by its run of bytes. */
static int
compile_pattern(char *out, const char *pattern, char *error, size_t error_size)
{
	for (const char *at = pattern; *at != '\0';) {
		size_t len = *at == '%' ? conversion_length(at) : 1;

		if ((unsigned char)*at < ' ') {
			snprintf(error, error_size,
			    "no control characters in a stamp");
			return -1;
		}
		if (len > 1 && at[len - 1] == 's') {
			*out++ = SECONDS;
			at += len;
		} else if (len > 0) {
			out = mempcpy(out, at, len);
			at += len;
		} else if (at[1] != '\0' && strchr("369", at[1]) != NULL &&
			   at[2] == 'N') {
			int digits = at[1] - '0';
			memset(out, digits / 3, (size_t)digits);
			out += digits;
			at += 3;
		} else {
			snprintf(error, error_size,
			    "'%.3s' is neither a conversion of strftime(3) "
			    "that fits in a line nor %%3N, %%6N or %%9N",
			    at);
			return -1;
		}
	}
	*out = '\0';
	return 0;
}

int
stamp_format_compile(struct stamp_format *format, const char *text, char *error,
    size_t error_size)
{
	size_t i = 0, count = sizeof(named_formats) / sizeof(named_formats[0]);
	const char *given = text;

	memset(format, 0, sizeof(*format));
	while (i < count && strcmp(text, named_formats[i].name) != 0)
		i++;
	if (i < count) {
		format->epoch = named_formats[i].epoch;
		format->zone_colon = named_formats[i].zone_colon;
		text = named_formats[i].pattern;
	} else if (strchr(text, '%') == NULL) {
		snprintf(error, error_size,
		    "no such format: \"ctime\", \"rfc3339\" or \"epoch\", the "
		    "latter two also with -ms, -us or -ns, or a strftime(3) "
		    "pattern");
		return -1;
	} else if (strlen(text) > STAMP_PATTERN_MAX) {
		snprintf(error, error_size, "a pattern has at most %d bytes",
		    STAMP_PATTERN_MAX);
		return -1;
	}
	if (compile_pattern(format->pattern, text, error, error_size) == -1)
		return -1;
	strcpy(format->text, given);
	return 0;
}

bool
stamp_zone_exists(const char *zone)
{
	char path[256], magic[4];

	if (strcmp(zone, "local") == 0 || strcmp(zone, "UTC") == 0)
		return true;
	if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL ||
	    snprintf(path, sizeof(path), ZONE_DIRECTORY "%s", zone) >=
		(int)sizeof(path))
		return false;
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	bool exists = fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
	              memcmp(magic, "TZif", sizeof(magic)) == 0;
	fclose(file);
	return exists;
}

/* What TZ is for a zone. */
static const char *
value_of(const char *zone)
{
	if (strcmp(zone, "local") == 0)
		return local_value;
	return strcmp(zone, "UTC") == 0 ? "UTC0" : zone;
}

/* With the lock.  tzset reads the file of a zone anew only after another. */
static void
switch_to(const char *value)
{
	strcpy(zone_value, "UTC0");
	tzset();
	strcpy(zone_value, value);
	tzset();
}

int
stamp_set_zone(const char *zone, const char *local_tz)
{
	const size_t max = sizeof(zone_entry) - sizeof("TZ=");
	int rc = 0, problem;

	if (local_tz == NULL)
		local_tz = ":/etc/localtime";
	if (strlen(zone) > max ||
	    (strlen(local_tz) > max && strcmp(zone, "local") == 0)) {
		clock_lock_zone();
		known_count = 0;
		clock_unlock_zone();
		errno = ENAMETOOLONG;
		return -1;
	}
	clock_lock_zone();
	if (strlen(local_tz) <= max)
		strcpy(local_value, local_tz);
	if (getenv("TZ") != zone_value)
		rc = putenv(zone_entry);
	problem = errno;
	switch_to(value_of(zone));
	known_count = 0;
	clock_unlock_zone();
	errno = problem;
	return rc;
}

void
stamp_init(struct stamp *stamp, const struct stamp_format *format)
{
	*stamp = (struct stamp){ .format = *format };
}

/* With the lock. */
static void
learn_zone(struct stamp *stamp, time_t around)
{
	char before[sizeof(zone_entry)];

	strcpy(before, zone_value);
	switch_to(value_of(stamp->zone_name));
	zone_sample(&stamp->zone, around);
	switch_to(before);
}

/* The same with what is known.  Without memory it is learned again. */
static void
know_zone(struct stamp *stamp)
{
	struct known_zone *more;
	size_t i = 0;

	while (i < known_count && strcmp(known[i].name, stamp->zone_name) != 0)
		i++;
	if (i < known_count) {
		stamp->zone = known[i].zone;
		return;
	}
	learn_zone(stamp, time(NULL));
	more = reallocarray(known, known_count + 1, sizeof(*known));
	if (more == NULL)
		return;
	known = more;
	known[known_count].zone = stamp->zone;
	strcpy(known[known_count++].name, stamp->zone_name);
}

void
stamp_use_zone(struct stamp *stamp, const char *zone)
{
	snprintf(stamp->zone_name, sizeof(stamp->zone_name), "%s", zone);
	clock_lock_zone();
	know_zone(stamp);
	clock_unlock_zone();
}

/* With the lock. */
static void
find_time(struct stamp *stamp, time_t second, struct tm *tm)
{
	if (stamp->zone_name[0] == '\0') {
		localtime_r(&second, tm);
		return;
	}
	if (!zone_time(&stamp->zone, second, tm)) {
		learn_zone(stamp, second);
		zone_time(&stamp->zone, second, tm);
	}
}

/* strftime(3) would compute %s in the process's zone. */
static void
put_seconds(char *out, const char *pattern, time_t second)
{
	char *to = out;

	for (; *pattern != '\0'; pattern++)
		if (*pattern == SECONDS)
			to += sprintf(to, "%lld", (long long)second);
		else
			*to++ = *pattern;
	*to = '\0';
}

static void
find_fractions(struct stamp *stamp)
{
	stamp->fractions = 0;
	for (size_t at = 0; at < stamp->len; at++) {
		char c = stamp->text[at];

		if (c >= 1 && c <= 3) {
			struct stamp_fraction found = { at, 3 * (size_t)c };
			stamp->fraction[stamp->fractions++] = found;
			at += found.digits - 1;
		}
	}
}

static void
render(struct stamp *stamp, time_t second)
{
	const struct stamp_format *format = &stamp->format;
	size_t room = sizeof(stamp->text) - sizeof(":] ");
	char *text = stamp->text, pattern[PATTERN_SIZE];
	size_t len = 1;
	struct tm tm;

	text[0] = '[';
	if (format->epoch)
		len += (size_t)snprintf(text + len, room - len, "%lld",
		    (long long)second);
	clock_lock_zone();
	find_time(stamp, second, &tm);
	put_seconds(pattern, format->pattern, second);
	len += strftime(text + len, room - len, pattern, &tm);
	clock_unlock_zone();
	if (format->zone_colon) {
		memmove(text + len - 1, text + len - 2, 2);
		text[len - 2] = ':';
		len++;
	}
	strcpy(text + len, "] ");
	stamp->len = len + 2;
	stamp->second = second;
	find_fractions(stamp);
}

const char *
stamp_at(struct stamp *stamp, const struct timespec *when, size_t *len)
{
	if (stamp->len == 0 || stamp->second != when->tv_sec)
		render(stamp, when->tv_sec);
	for (size_t i = 0; i < stamp->fractions; i++) {
		const struct stamp_fraction *fraction = &stamp->fraction[i];
		char *to = stamp->text + fraction->at;
		long value = when->tv_nsec;

		for (size_t n = 9; n > fraction->digits; n--)
			value /= 10;
		for (size_t n = fraction->digits; n > 0; n--, value /= 10)
			to[n - 1] = (char)('0' + value % 10);
	}
	*len = stamp->len;
	return stamp->text;
}

/* What may stand for c at another time: one byte for all of these. */
static char
kind_of(char c)
{
	if ((c >= '0' && c <= '9') || c == ' ')
		return '0';
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return 'a';
	return c == '-' ? '+' : c;
}

bool
stamp_resembles(const char *text, size_t text_len, const char *data, size_t len)
{
	size_t at = 0;

	if (len < text_len)
		return false;
	while (at < text_len && kind_of(data[at]) == kind_of(text[at]))
		at++;
	return at == text_len;
}
