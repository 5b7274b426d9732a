#include "stamp/stamp.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo/"
#define TZ_OFFSET 3 /* of the value in "TZ=value" */

/*
 * The C library's time zone belongs to the process, and both strftime(3) and
 * tzset(3) read TZ from the environment: the lock keeps a rendering thread and
 * the thread that sets the zone apart.  Taken once a second by each thread.
 *
 * Other threads search the environment without this lock, as getaddrinfo(3)
 * does.  They compare names only: so the entry of TZ is put there before they
 * exist, and from then on only its value changes, in place.
 */
static pthread_mutex_t zone_lock = PTHREAD_MUTEX_INITIALIZER;
static char zone_entry[PATH_MAX] = "TZ=";

/* A byte that stands for one digit of a fraction of 3, 6 or 9 digits. */
enum placeholder { MILLI = 1, MICRO, NANO };

static size_t
placeholder_digits(char c)
{
	return c >= MILLI && c <= NANO ? 3 * (size_t)c : 0;
}

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

/* Copies pattern with each fraction replaced by its placeholders. */
static int
compile_pattern(char *out, const char *pattern, char *error, size_t error_size)
{
	for (const char *at = pattern; *at != '\0';) {
		size_t len = 1;

		if ((unsigned char)*at < ' ') {
			snprintf(error, error_size,
			    "no control characters in a stamp");
			return -1;
		}
		if (*at == '%') {
			if (at[1] != '\0' && strchr("369", at[1]) != NULL &&
			    at[2] == 'N') {
				int digits = at[1] - '0';
				memset(out, digits / 3, (size_t)digits);
				out += digits;
				at += 3;
				continue;
			}
			len = conversion_length(at);
			if (len == 0) {
				snprintf(error, error_size,
				    "'%.3s' is neither a conversion of "
				    "strftime(3) that fits in a line nor "
				    "%%3N, %%6N or %%9N",
				    at);
				return -1;
			}
		}
		out = mempcpy(out, at, len);
		at += len;
	}
	*out = '\0';
	return 0;
}

int
stamp_format_compile(struct stamp_format *format, const char *text, char *error,
    size_t error_size)
{
	memset(format, 0, sizeof(*format));
	for (size_t i = 0; i < sizeof(named_formats) / sizeof(named_formats[0]);
	     i++)
		if (strcmp(text, named_formats[i].name) == 0) {
			format->epoch = named_formats[i].epoch;
			format->zone_colon = named_formats[i].zone_colon;
			return compile_pattern(format->pattern,
			    named_formats[i].pattern, error, error_size);
		}
	if (strchr(text, '%') == NULL) {
		snprintf(error, error_size,
		    "no such format: \"ctime\", \"rfc3339\" or \"epoch\", the "
		    "latter two also with -ms, -us or -ns, or a strftime(3) "
		    "pattern");
		return -1;
	}
	if (strlen(text) > STAMP_PATTERN_MAX) {
		snprintf(error, error_size, "a pattern has at most %d bytes",
		    STAMP_PATTERN_MAX);
		return -1;
	}
	return compile_pattern(format->pattern, text, error, error_size);
}

bool
stamp_zone_exists(const char *zone)
{
	char path[256], magic[4];

	if (strcmp(zone, "local") == 0 || strcmp(zone, "UTC") == 0)
		return true;
	if (zone[0] == '\0' || zone[0] == '/' || strstr(zone, "..") != NULL)
		return false;
	int n = snprintf(path, sizeof(path), ZONE_DIRECTORY "%s", zone);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	bool exists = fread(magic, 1, sizeof(magic), file) == sizeof(magic) &&
	              memcmp(magic, "TZif", sizeof(magic)) == 0;
	fclose(file);
	return exists;
}

int
stamp_set_zone(const char *zone, const char *local_tz)
{
	const char *tz = zone;
	char *value = zone_entry + TZ_OFFSET;
	int rc = 0;

	if (strcmp(zone, "local") == 0)
		tz = local_tz != NULL ? local_tz : ":/etc/localtime";
	else if (strcmp(zone, "UTC") == 0)
		tz = "UTC0";
	if (strlen(tz) >= sizeof(zone_entry) - TZ_OFFSET) {
		errno = ENAMETOOLONG;
		return -1;
	}
	pthread_mutex_lock(&zone_lock);
	if (getenv("TZ") != value)
		rc = putenv(zone_entry);
	/* tzset reads the file of a zone anew only after another zone. */
	strcpy(value, "UTC0");
	tzset();
	strcpy(value, tz);
	tzset();
	pthread_mutex_unlock(&zone_lock);
	return rc;
}

void
stamp_init(struct stamp *stamp, const struct stamp_format *format)
{
	stamp->format = *format;
	stamp->len = 0;
	stamp->digit_runs = 0;
}

static void
find_digit_runs(struct stamp *stamp)
{
	stamp->digit_runs = 0;
	for (size_t at = 0; at < stamp->len;) {
		size_t digits = placeholder_digits(stamp->text[at]);

		if (digits > 0) {
			stamp->digit_run[stamp->digit_runs].at = at;
			stamp->digit_run[stamp->digit_runs].digits = digits;
			stamp->digit_runs++;
		}
		at += digits > 0 ? digits : 1;
	}
}

static void
render(struct stamp *stamp, time_t second)
{
	const struct stamp_format *format = &stamp->format;
	size_t room = sizeof(stamp->text) - sizeof(":] ");
	char *text = stamp->text;
	size_t len = 1;
	struct tm tm;

	text[0] = '[';
	if (format->epoch)
		len += (size_t)snprintf(text + len, room - len, "%lld",
		    (long long)second);
	pthread_mutex_lock(&zone_lock);
	localtime_r(&second, &tm);
	len += strftime(text + len, room - len, format->pattern, &tm);
	pthread_mutex_unlock(&zone_lock);
	if (format->zone_colon) {
		memmove(text + len - 1, text + len - 2, 2);
		text[len - 2] = ':';
		len++;
	}
	text[len++] = ']';
	text[len++] = ' ';
	stamp->len = len;
	stamp->second = second;
	find_digit_runs(stamp);
}

static void
put_digits(char *to, size_t digits, long nanoseconds)
{
	long value = nanoseconds;

	for (size_t i = digits; i < 9; i++)
		value /= 10;
	for (; digits > 0; digits--, value /= 10)
		to[digits - 1] = (char)('0' + value % 10);
}

const char *
stamp_at(struct stamp *stamp, const struct timespec *now, size_t *len)
{
	if (stamp->len == 0 || stamp->second != now->tv_sec)
		render(stamp, now->tv_sec);
	for (size_t i = 0; i < stamp->digit_runs; i++)
		put_digits(stamp->text + stamp->digit_run[i].at,
		    stamp->digit_run[i].digits, now->tv_nsec);
	*len = stamp->len;
	return stamp->text;
}
