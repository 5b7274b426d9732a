/*
 * Reads the input as a stream of replies, in pieces whose size the first byte
 * chooses, and compares with each line read as a whole.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "ping/payload.h"

#define ID 0x1a2b3c4d

static void
ensure(bool condition)
{
	if (!condition)
		abort();
}

/* Reads the line that data begins with; returns its length, 0: it has no end. */
static size_t
read_whole(const char *data, size_t size, enum payload_kind *kind,
    struct payload_reply *reply)
{
	const char *newline = memchr(data, '\n', size);
	size_t len = newline == NULL ? 0 : (size_t)(newline + 1 - data);

	if (len > 0)
		*kind = payload_read(ID, data, len, reply);
	return len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct payload_line line = { 0 };
	struct payload_reply piecewise, whole;
	enum payload_kind kind;

	if (size < 2)
		return 0;
	size_t piece = (size_t)data[0] + 1;
	const char *at = (const char *)data + 1, *end = at + size - 1;
	const char *next = at;
	while (at < end) {
		size_t left = (size_t)(end - at);
		struct payload_text text = { at, left < piece ? left : piece };

		at += text.len;
		while (text.len > 0) {
			enum payload_kind found = payload_take(&line, ID, &text,
			    &piecewise);
			if (found == PAYLOAD_PART)
				continue;
			size_t len = read_whole(next, (size_t)(end - next),
			    &kind, &whole);
			ensure(len > 0 && found == kind);
			ensure(whole.bytes == len && piecewise.bytes == len);
			ensure(whole.number == piecewise.number);
			ensure(whole.has_reading == piecewise.has_reading);
			ensure(!whole.has_reading || kind == PAYLOAD_STAMPED);
			ensure(
			    (whole.number > 0) == (kind != PAYLOAD_FOREIGN) ||
			    kind == PAYLOAD_FOREIGN);
			next += len;
		}
	}
	ensure(memchr(next, '\n', (size_t)(end - next)) == NULL);
	return 0;
}
