#include "lines/reply.h"

#include <ctype.h>
#include <string.h>

#define STAMP_MIN (sizeof("[] ") - 1)
/* Of a reply that is not whole so much is looked at again each time. */
#define PART_MAX 16384

void
reply_reset(struct reply *reply)
{
	*reply = (struct reply){ .alone = true };
}

/* Whether data begins with a stamp of len bytes, which it has. */
static bool
has_stamp(const char *data, size_t len)
{
	return data[0] == '[' && data[len - 2] == ']' && data[len - 1] == ' ';
}

static void
keep_stamp(struct reply *reply, const char *stamp, size_t len)
{
	memcpy(reply->stamp, stamp, len);
	reply->stamp_len = reply->len = len;
}

struct reply_run
reply_run(struct reply *reply, struct framing_text data,
    struct framing_text lines)
{
	const char *at = data.bytes, *end = at + data.len;
	const char *line = lines.bytes, *lines_end = line + lines.len;
	const char *last = NULL;
	size_t stamp_len = reply->stamp_len;

	if (stamp_len == 0 || reply->begun || reply->pieces)
		return (struct reply_run){ 0, 0 };
	while ((size_t)(end - at) > stamp_len && has_stamp(at, stamp_len)) {
		size_t room = (size_t)(end - at) - stamp_len;
		size_t left = (size_t)(lines_end - line);
		const char *newline = memchr(line, '\n',
		    left < room ? left : room);
		if (newline == NULL)
			break;
		size_t len = (size_t)(newline + 1 - line);
		if (memcmp(at + stamp_len, line, len) != 0)
			break;
		last = at;
		at += stamp_len + len;
		line += len;
	}
	if (last != NULL) {
		keep_stamp(reply, last, stamp_len);
		reply->alone = false;
	}
	return (struct reply_run){ (size_t)(at - data.bytes),
		(size_t)(line - lines.bytes) };
}

/* Whether data is a stamp of any length and line, and nothing else. */
static bool
is_stamp_and_line(struct framing_text data, struct framing_text line)
{
	size_t stamp_len = data.len - line.len;

	return data.len >= line.len + STAMP_MIN &&
	       stamp_len <= STAMP_TEXT_MAX &&
	       has_stamp(data.bytes, stamp_len) &&
	       memcmp(data.bytes + stamp_len, line.bytes, line.len) == 0;
}

/* Takes bytes of a stamp; false: it is too long for one, or not one. */
static bool
take_stamp(struct reply *reply, struct framing_text data, size_t *at)
{
	while (*at < data.len && reply->in_stamp) {
		char c = data.bytes[(*at)++];

		if (reply->len == STAMP_TEXT_MAX || c == '\n' ||
		    (reply->len == 0 && c != '['))
			return false;
		reply->stamp[reply->len++] = c;
		reply->in_stamp = reply->len < STAMP_MIN || c != ' ' ||
		                  reply->stamp[reply->len - 2] != ']';
	}
	if (!reply->in_stamp)
		reply->stamp_len = reply->len;
	return true;
}

/* Whether data begins as the last stamp does: digits for digits, and so on. */
static bool
is_like_stamp(const struct reply *reply, struct framing_text data)
{
	for (size_t i = 0; i < data.len && i < reply->stamp_len; i++) {
		unsigned char is = (unsigned char)data.bytes[i];
		unsigned char was = (unsigned char)reply->stamp[i];
		bool as_number = isdigit(was) || was == ' ';

		if (is != was && !(isalpha(is) && isalpha(was)) &&
		    !(as_number && (isdigit(is) || is == ' ')))
			return false;
	}
	return true;
}

/* What the byte at the beginning of data is, where line has to go on. */
static enum {
	IS_TEXT,
	IS_STAMP,
	IS_UNKNOWN,
	IS_WRONG
} tell(const struct reply *reply, struct framing_text data,
    struct framing_text line)
{
	size_t need = reply->stamp_len < line.len ? reply->stamp_len : line.len;
	size_t have = data.len < need ? data.len : need;
	bool same_byte = data.bytes[0] == line.bytes[0];

	if (data.bytes[0] != '[')
		return same_byte ? IS_TEXT : IS_WRONG;
	if (!is_like_stamp(reply, data))
		return same_byte ? IS_TEXT : IS_STAMP;
	if (memcmp(data.bytes, line.bytes, have) != 0)
		return IS_STAMP;
	return have < need ? IS_UNKNOWN : IS_TEXT;
}

static void
begin_stamp(struct reply *reply)
{
	reply->in_stamp = true;
	reply->len = 0;
}

/* The stamp that the line begins under is the last one in front of it. */
static void
note_first(struct reply *reply)
{
	if (reply->matched > 0)
		return;
	memcpy(reply->first, reply->stamp, reply->len);
	reply->first_len = reply->len;
}

/* Takes bytes of the line up to the next '['. */
static bool
take_text(struct reply *reply, struct framing_text data,
    struct framing_text line, size_t *at)
{
	size_t left = line.len - reply->matched, len = data.len - *at;
	const char *from = data.bytes + *at;

	if (len > left)
		len = left;
	const char *bracket = memchr(from + 1, '[', len - 1);
	if (bracket != NULL)
		len = (size_t)(bracket - from);
	note_first(reply);
	if (memcmp(from, line.bytes + reply->matched, len) != 0)
		return false;
	reply->matched += len;
	*at += len;
	return true;
}

/* Matches a reply while it comes, wherever the server puts stamps. */
static enum reply_kind
match(struct reply *reply, struct framing_text data, struct framing_text line,
    size_t *at)
{
	while (reply->matched < line.len && *at < data.len) {
		struct framing_text rest = { data.bytes + *at, data.len - *at };
		struct framing_text open = { line.bytes + reply->matched,
			line.len - reply->matched };

		if (reply->in_stamp) {
			if (!take_stamp(reply, data, at))
				return REPLY_FOREIGN;
			continue;
		}
		switch (tell(reply, rest, open)) {
		case IS_STAMP:
			reply->pieces = true;
			begin_stamp(reply);
			break;
		case IS_TEXT:
			if (!take_text(reply, data, line, at))
				return REPLY_FOREIGN;
			break;
		case IS_UNKNOWN:
			return REPLY_PART;
		case IS_WRONG:
			return REPLY_FOREIGN;
		}
	}
	return reply->matched == line.len ? REPLY_WHOLE : REPLY_PART;
}

/* as_line: what has come can be the reply of a server that stamps lines. */
static void
begin(struct reply *reply, bool as_line)
{
	reply->begun = true;
	reply->matched = 0;
	if (reply->alone || reply->stamp_len == 0 ||
	    (as_line && !reply->pieces))
		begin_stamp(reply);
	else
		reply->pieces = true;
}

static bool
may_have_stamp(struct framing_text data)
{
	return data.len <= STAMP_TEXT_MAX ||
	       memmem(data.bytes, STAMP_TEXT_MAX, "] ", 2) != NULL;
}

/*
 * The length of the reply if all of it has come, as a server sends it that
 * stamps lines; 0: it has not.  *as_line: it still may; *may_wait: only when
 * more has come can it be told.
 */
static size_t
find_end(struct framing_text data, struct framing_text line, bool *as_line,
    bool *may_wait)
{
	const char *newline = memchr(data.bytes, '\n', data.len);
	bool has_newline = line.bytes[line.len - 1] == '\n';
	struct framing_text whole = data;

	if (newline != NULL)
		whole.len = (size_t)(newline + 1 - data.bytes);
	*as_line = newline == NULL && data.bytes[0] == '[';
	*may_wait = *as_line && has_newline && data.len < PART_MAX &&
	            may_have_stamp(data);
	if ((newline != NULL) != has_newline)
		return 0;
	return is_stamp_and_line(whole, line) ? whole.len : 0;
}

enum reply_kind
reply_next(struct reply *reply, struct framing_text data,
    struct framing_text line, struct reply_found *found)
{
	bool as_line, may_wait;

	*found = (struct reply_found){ 0 };
	if (data.len == 0)
		return REPLY_PART;
	if (!reply->begun && !reply->pieces) {
		found->consumed = find_end(data, line, &as_line, &may_wait);
		if (found->consumed > 0) {
			found->stamp.bytes = data.bytes;
			found->stamp.len = found->consumed - line.len;
			keep_stamp(reply, data.bytes, found->stamp.len);
			reply->alone = false;
			return REPLY_WHOLE;
		}
		if (may_wait)
			return REPLY_PART;
	}
	if (!reply->begun)
		begin(reply, !reply->pieces && as_line);
	enum reply_kind kind = match(reply, data, line, &found->consumed);
	if (kind == REPLY_WHOLE) {
		found->stamp = (struct framing_text){ reply->first,
			reply->first_len };
		reply->begun = reply->alone = false;
	}
	return kind;
}

bool
reply_is_bare(struct framing_text data)
{
	const char *end = data.len < STAMP_MIN || data.bytes[0] != '['
	                    ? NULL
	                    : memmem(data.bytes, data.len, "] ", 2);

	return end != NULL && end + 2 == data.bytes + data.len;
}
