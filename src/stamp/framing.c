#include "stamp/framing.h"

#include <string.h>

static const char
    *const names[] = { [FRAMING_CHUNK] = "chunk", [FRAMING_LINE] = "line" };

const char *
framing_name(enum framing framing)
{
	return names[framing];
}

int
framing_parse(const char *name)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -1;
}

char *
framing_chunk(char *data, const char *stamp, size_t stamp_len)
{
	return memcpy(data - stamp_len, stamp, stamp_len);
}

/*
 * As mempcpy(3).  Where from and to have room for FRAMING_SHORT bytes, a short
 * copy has that fixed length, which spares the call; excess bytes are
 * overwritten by the next copy.
 */
static char *
put(char *to, const char *from, size_t len, bool has_room)
{
	if (len > FRAMING_SHORT || !has_room)
		return mempcpy(to, from, len);
	memcpy(to, from, FRAMING_SHORT);
	return to + len;
}

struct framing_run
framing_lines(bool *line_start, struct framing_text data,
    struct framing_text stamp, size_t max_stamps, char *out)
{
	const char *in = data.bytes, *end = in + data.len;
	char *to = out;
	size_t stamps = 0;

	while (in < end) {
		/* out has room for the rest of data at least. */
		bool has_room = end - in >= FRAMING_SHORT;

		if (*line_start) {
			if (stamps == max_stamps)
				break;
			to = put(to, stamp.bytes, stamp.len, has_room);
			stamps++;
		}
		const char *newline = memchr(in, '\n', (size_t)(end - in));
		size_t len = (size_t)((newline ? newline + 1 : end) - in);
		to = put(to, in, len, has_room);
		in += len;
		*line_start = newline != NULL;
	}
	return (struct framing_run){ .consumed = (size_t)(in - data.bytes),
		.len = (size_t)(to - out),
		.stamps = stamps };
}
