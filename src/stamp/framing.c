#include "stamp/framing.h"

#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64       /* bytes */
#define SHORT_LINE 80  /* bytes; memchr(3) finds the end of others faster */
#define USUAL_STAMP 32 /* bytes; "[ctime] " has 27 */

#define ALWAYS_INLINE static inline __attribute__((always_inline))

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
ALWAYS_INLINE char *
put(char *to, struct framing_text from, bool has_room)
{
	if (has_room && from.len <= USUAL_STAMP)
		memcpy(to, from.bytes, USUAL_STAMP);
	else if (has_room && from.len <= FRAMING_SHORT)
		memcpy(to, from.bytes, FRAMING_SHORT);
	else
		memcpy(to, from.bytes, from.len);
	return to + from.len;
}

/*
 * The search for the ends of lines.  Those of short lines are found by the
 * block, where the processor can: found has a bit for each newline of it, so
 * that the search for one need not wait for the one before.
 */
struct search {
	const char *block, *next; /* next: where nothing was searched yet */
	const char *end;          /* of the text */
	uint64_t found;
	bool is_short; /* the last line was */
};

ALWAYS_INLINE void
search_block(struct search *search)
{
#ifdef __SSE2__
	if (search->found != 0 || !search->is_short ||
	    search->end - search->next < BLOCK)
		return;
	search->block = search->next;
	search->next += BLOCK;
	for (int i = BLOCK - 16; i >= 0; i -= 16) {
		__m128i piece = _mm_loadu_si128(
		    (const void *)(search->block + i));
		int equal = _mm_movemask_epi8(
		    _mm_cmpeq_epi8(piece, _mm_set1_epi8('\n')));
		search->found = search->found << 16 | (unsigned)equal;
	}
#else
	(void)search;
#endif
}

/* The end of the line at begin; of the text when it has no newline. */
ALWAYS_INLINE const char *
find_end(struct search *search, const char *begin)
{
	search_block(search);
	if (search->found != 0) {
		const char *newline = search->block +
		                      __builtin_ctzll(search->found);
		search->found &= search->found - 1;
		return newline + 1;
	}
	const char *newline = memchr(search->next, '\n',
	    (size_t)(search->end - search->next));
	search->next = newline != NULL ? newline + 1 : search->end;
	search->is_short = search->next - begin <= SHORT_LINE;
	return search->next;
}

struct framing_run
framing_lines(bool *line_start, struct framing_text data,
    struct framing_text stamp, size_t max_stamps, char *out)
{
	const char *in = data.bytes, *end = in + data.len;
	struct search search = { .next = in, .end = end, .is_short = true };
	bool starts = *line_start; /* in a register */
	char *to = out;
	size_t stamps = 0;

	while (in < end) {
		/* out has room for the rest of data at least. */
		bool has_room = end - in >= FRAMING_SHORT;

		if (starts) {
			if (stamps == max_stamps)
				break;
			to = put(to, stamp, has_room);
			stamps++;
		}
		const char *next = find_end(&search, in);
		to = put(to, (struct framing_text){ in, (size_t)(next - in) },
		    has_room);
		in = next;
		starts = next[-1] == '\n';
	}
	*line_start = starts;
	return (struct framing_run){ .consumed = (size_t)(in - data.bytes),
		.len = (size_t)(to - out),
		.stamps = stamps };
}
