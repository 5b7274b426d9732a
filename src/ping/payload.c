#include "ping/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_DIGITS 14 /* as many as PAYLOAD_MIN has room for */
#define ID_LEN 9         /* "1a2b3c4d " */

void
payload_write(char *to, size_t size, uint32_t id, uint64_t number)
{
	char head[PAYLOAD_MIN + 16];
	int len = snprintf(head, sizeof(head), "%08" PRIx32 " %" PRIu64 " ", id,
	    number);

	memset(to, '.', size);
	memcpy(to, head, (size_t)len < size ? (size_t)len : size);
	to[size - 1] = '\n';
}

/* 0: there is none. */
static uint64_t
read_number(const char *at, const char *end)
{
	const char *start = at;
	uint64_t number = 0;

	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (at - start == NUMBER_DIGITS)
			return 0;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	return at < end && (*at == ' ' || *at == '\n') ? number : 0;
}

enum payload_kind
payload_read(uint32_t id, const char *data, size_t len,
    struct payload_reply *reply)
{
	size_t head_len = len < PAYLOAD_HEAD ? len : PAYLOAD_HEAD;
	char own[ID_LEN + 1];

	*reply = (struct payload_reply){ .bytes = len };
	snprintf(own, sizeof(own), "%08" PRIx32 " ", id);
	const char *at = memmem(data, head_len, own, ID_LEN);
	if (at == NULL)
		return PAYLOAD_FOREIGN;
	size_t stamp_len = (size_t)(at - data);
	reply->number = read_number(at + ID_LEN, data + head_len);
	if (reply->number == 0)
		return PAYLOAD_FOREIGN;
	if (stamp_len == 0)
		return PAYLOAD_BARE;
	if (stamp_len < 3 || data[0] != '[' || memcmp(at - 2, "] ", 2) != 0)
		return PAYLOAD_FOREIGN;
	reply->has_reading = stamp_reader_read(data, stamp_len,
	    &reply->reading);
	return PAYLOAD_STAMPED;
}

enum payload_kind
payload_take(struct payload_line *line, uint32_t id, struct payload_text *text,
    struct payload_reply *reply)
{
	const char *newline = memchr(text->bytes, '\n', text->len);
	size_t len = newline == NULL ? text->len
	                             : (size_t)(newline + 1 - text->bytes);
	size_t room = line->len < PAYLOAD_HEAD ? PAYLOAD_HEAD - line->len : 0;

	memcpy(line->head + PAYLOAD_HEAD - room, text->bytes,
	    len < room ? len : room);
	line->len += len;
	text->bytes += len;
	text->len -= len;
	if (newline == NULL)
		return PAYLOAD_PART;
	enum payload_kind kind = payload_read(id, line->head,
	    line->len < PAYLOAD_HEAD ? line->len : PAYLOAD_HEAD, reply);
	reply->bytes = line->len;
	line->len = 0;
	return kind;
}
