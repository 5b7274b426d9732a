/*
 * Compares stamps and framing with a slow version that is obviously correct.
 * The first bytes choose a time and how the data is cut, the first line after
 * them is the format, the rest is the data.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"
#include "stamp/framing.h"
#include "stamp/stamp.h"

#define HEAD 12
#define DATA_MAX 4096
#define OUT_MAX ((DATA_MAX + 1) * (STAMP_TEXT_MAX + 1))

static char fast_out[OUT_MAX], slow_out[OUT_MAX];

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

/* Renders the piece of a valid pattern at *at and moves *at past it. */
static size_t
slow_piece(const char **at, const struct timespec *now, char *to, size_t room)
{
	char piece[16] = { 0 };
	size_t len = 0;
	struct tm tm;

	if (**at != '%') {
		*to = *(*at)++;
		return 1;
	}
	if (strchr("369", (*at)[1]) != NULL && (*at)[2] == 'N') {
		char digits[16];
		snprintf(digits, sizeof(digits), "%09ld", now->tv_nsec);
		len = (size_t)((*at)[1] - '0');
		memcpy(to, digits, len);
		*at += 3;
		return len;
	}
	piece[len++] = *(*at)++;
	while (len < sizeof(piece) - 3 && strchr("_-0^#", **at) != NULL)
		piece[len++] = *(*at)++;
	if (strchr("EO", **at) != NULL)
		piece[len++] = *(*at)++;
	piece[len] = *(*at)++;
	localtime_r(&now->tv_sec, &tm);
	return strftime(to, room, piece, &tm);
}

static size_t
slow_stamp(const char *pattern, const struct timespec *now, char *to)
{
	size_t len = 1;

	to[0] = '[';
	while (*pattern != '\0')
		len += slow_piece(&pattern, now, to + len,
		    STAMP_TEXT_MAX - len);
	to[len++] = ']';
	to[len++] = ' ';
	return len;
}

/* Returns the pattern of a named format, else the format, which is one. */
static const char *
pattern_of(const char *format)
{
	static const struct {
		const char *name, *pattern;
	} names[] = {
		{ "ctime", "%a %b %e %H:%M:%S %Y" },
		{ "rfc3339", "%Y-%m-%dT%H:%M:%S+00:00" },
		{ "rfc3339-ms", "%Y-%m-%dT%H:%M:%S.%3N+00:00" },
		{ "rfc3339-us", "%Y-%m-%dT%H:%M:%S.%6N+00:00" },
		{ "rfc3339-ns", "%Y-%m-%dT%H:%M:%S.%9N+00:00" },
		{ "epoch", "%s" },
		{ "epoch-ms", "%s%3N" },
		{ "epoch-us", "%s%6N" },
		{ "epoch-ns", "%s%9N" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(format, names[i].name) == 0)
			return names[i].pattern;
	return format;
}

/* Whether a piece has more flags than slow_piece has room for. */
static bool
has_long_piece(const char *pattern)
{
	for (; *pattern != '\0'; pattern++)
		if (*pattern == '%' && strspn(pattern + 1, "_-0^#") > 8)
			return true;
	return false;
}

static size_t
slow_lines(bool *line_start, const char *data, size_t len, const char *stamp,
    size_t stamp_len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; i++) {
		if (*line_start)
			for (size_t j = 0; j < stamp_len; j++)
				slow_out[to++] = stamp[j];
		slow_out[to++] = data[i];
		*line_start = data[i] == '\n';
	}
	return to;
}

/* Passes data in pieces of at most cut bytes, with at most max stamps a call. */
static void
try_lines(const char *data, size_t len, const char *stamp, size_t stamp_len,
    size_t cut, size_t max)
{
	bool fast_start = true, slow_start = true;
	size_t to = 0;

	for (size_t at = 0; at < len;) {
		size_t piece = len - at < cut ? len - at : cut;
		struct framing_run run = framing_lines(&fast_start,
		    (struct framing_text){ data + at, piece },
		    (struct framing_text){ stamp, stamp_len }, max,
		    fast_out + to);
		ensure(run.consumed > 0 && run.consumed <= piece);
		ensure(run.stamps <= max);
		ensure(run.len == run.consumed + run.stamps * stamp_len);
		at += run.consumed;
		to += run.len;
	}
	ensure(slow_lines(&slow_start, data, len, stamp, stamp_len) == to);
	ensure(memcmp(fast_out, slow_out, to) == 0);
	ensure(fast_start == slow_start);
}

static void
try_chunk(const char *data, size_t len, const char *stamp, size_t stamp_len)
{
	char *at = fast_out + STAMP_TEXT_MAX;

	memcpy(at, data, len);
	const char *whole = framing_chunk(at, stamp, stamp_len);
	ensure(memcmp(whole, stamp, stamp_len) == 0);
	ensure(memcmp(whole + stamp_len, data, len) == 0);
}

static void
try_format(const char *format, const uint8_t *head, const char *data,
    size_t len)
{
	struct stamp_format compiled;
	struct stamp stamp;
	char error[256] = "", slow[2 * STAMP_TEXT_MAX];
	size_t stamp_len;
	uint32_t seconds, fraction;

	if (stamp_format_compile(&compiled, format, error, sizeof(error)) ==
	    -1) {
		ensure(error[0] != '\0');
		return;
	}
	if (has_long_piece(format))
		return;
	memcpy(&seconds, head, sizeof(seconds));
	memcpy(&fraction, head + 4, sizeof(fraction));
	struct timespec now = { seconds, fraction % 1000000000 };
	stamp_init(&stamp, &compiled);
	for (int i = 0; i < 3; i++) {
		const char *text = stamp_at(&stamp, &now, &stamp_len);
		ensure(slow_stamp(pattern_of(format), &now, slow) == stamp_len);
		ensure(memcmp(text, slow, stamp_len) == 0);
		/* First the same second again, then another one. */
		now.tv_nsec = (now.tv_nsec + 123456789) % 1000000000;
		now.tv_sec += (i == 1 ? head[8] : 0) * 100000;
	}
	try_lines(data, len, slow, stamp_len, (size_t)head[9] + 1,
	    (size_t)head[10] % 8 + 1);
	try_chunk(data, len, slow, stamp_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	setenv("TZ", "UTC0", 1);
	if (size < HEAD || size > DATA_MAX)
		return 0;
	const char *text = (const char *)data + HEAD;
	size_t left = size - HEAD;
	const char *end = memchr(text, '\n', left);
	size_t len = end != NULL ? (size_t)(end - text) : left;
	char *format = strndup(text, len);

	left -= end != NULL ? len + 1 : len;
	try_format(format, data, (const char *)data + size - left, left);
	free(format);
	return 0;
}
