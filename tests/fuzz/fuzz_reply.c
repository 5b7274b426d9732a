/*
 * Replies in pieces: the first byte is the size of the pieces, the second one
 * how much of the rest are lines that were sent; what is left came back.  What
 * is taken as a reply has a stamp and its line, compared byte by byte.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "lines/reply.h"

static void
ensure(bool condition)
{
	if (!condition)
		abort();
}

static void
ensure_stamp(struct framing_text stamp)
{
	ensure(stamp.len >= 3 && stamp.len <= STAMP_TEXT_MAX);
	ensure(stamp.bytes[0] == '[' && stamp.bytes[stamp.len - 2] == ']' &&
	       stamp.bytes[stamp.len - 1] == ' ');
}

/* Ensures that run is stamps and lines by turns. */
static void
ensure_run(const struct reply *reply, struct reply_run run, const char *data,
    const char *lines)
{
	size_t at = 0, line = 0;

	while (at < run.consumed) {
		ensure_stamp(
		    (struct framing_text){ data + at, reply->stamp_len });
		at += reply->stamp_len;
		do
			ensure(at < run.consumed && data[at++] == lines[line]);
		while (lines[line++] != '\n');
	}
	ensure(at == run.consumed && line == run.lines_len);
}

static struct framing_text
first_line(struct framing_text lines)
{
	const char *newline = memchr(lines.bytes, '\n', lines.len);

	if (newline != NULL)
		lines.len = (size_t)(newline + 1 - lines.bytes);
	return lines;
}

/* Takes what it can of data, which ends where its memory ends. */
static bool
take(struct reply *reply, struct framing_text *data, struct framing_text *lines)
{
	struct reply_found found;

	while (lines->len > 0 && data->len > 0) {
		struct reply_run run = reply_run(reply, *data, *lines);
		ensure(
		    run.consumed <= data->len && run.lines_len <= lines->len);
		ensure_run(reply, run, data->bytes, lines->bytes);
		data->bytes += run.consumed;
		data->len -= run.consumed;
		lines->bytes += run.lines_len;
		lines->len -= run.lines_len;
		if (data->len == 0 || lines->len == 0)
			break;
		struct framing_text line = first_line(*lines);
		enum reply_kind kind = reply_next(reply, *data, line, &found);
		ensure(found.consumed <= data->len);
		if (kind == REPLY_FOREIGN)
			return false;
		data->bytes += found.consumed;
		data->len -= found.consumed;
		if (kind == REPLY_PART)
			break;
		ensure_stamp(found.stamp);
		lines->bytes += line.len;
		lines->len -= line.len;
	}
	return true;
}

static void
receive(struct framing_text reply_bytes, struct framing_text lines,
    size_t piece)
{
	struct reply reply = { 0 };
	size_t at = 0, end = 0;

	reply_reset(&reply);
	while (end < reply_bytes.len) {
		end = end + piece < reply_bytes.len ? end + piece
		                                    : reply_bytes.len;
		/* Exactly as long as the data, for AddressSanitizer. */
		char *copy = malloc(end - at);
		if (copy == NULL)
			return;
		memcpy(copy, reply_bytes.bytes + at, end - at);
		struct framing_text data = { copy, end - at };
		bool ours = take(&reply, &data, &lines);
		at = end - data.len;
		free(copy);
		if (!ours)
			return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	const char *rest = (const char *)data + 2;
	size_t lines_len = (size - 2) * data[1] / 256;
	struct framing_text lines = { rest, lines_len };

	receive((struct framing_text){ rest + lines_len, size - 2 - lines_len },
	    lines, 1 + data[0]);
	return 0;
}
