#include "stamp/framing.h"

#include <string.h>

static const char *const names[] = {
	[FRAMING_CHUNK] = "chunk",
	[FRAMING_LINE] = "line",
};

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
 * As mempcpy(3), but where len is small, and to and from have room for more, a
 * copy of a fixed length spares the call.  What is too much of it is written
 * over by what follows.
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
framing_lines(bool *line_start, const char *data, size_t data_len,
    const char *stamp, size_t stamp_len, size_t max_stamps, char *out)
{
	const char *in = data, *end = data + data_len;
	char *to = out;
	size_t stamps = 0;

	while (in < end) {
		/* As much as is left of data has room in out, too. */
		bool has_room = end - in >= FRAMING_SHORT;

		if (*line_start) {
			if (stamps == max_stamps)
				break;
			to = put(to, stamp, stamp_len, has_room);
			stamps++;
		}
		const char *newline = memchr(in, '\n', (size_t)(end - in));
		size_t len = (size_t)((newline ? newline + 1 : end) - in);
		to = put(to, in, len, has_room);
		in += len;
		*line_start = newline != NULL;
	}
	return (struct framing_run){
		.consumed = (size_t)(in - data),
		.len = (size_t)(to - out),
		.stamps = stamps,
	};
}
