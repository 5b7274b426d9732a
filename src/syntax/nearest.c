#include "syntax/nearest.h"

#include <ctype.h>
#include <string.h>
#include <sys/param.h>

#define WORD_MAX 32 /* bytes; no longer words are compared */

static int
lower(char c)
{
	return tolower((unsigned char)c);
}

/*
 * Damerau's distance: how many letters to insert, remove, replace, or swap with
 * the next one, of which none is touched twice.
 */
static size_t
measure(const char *one, const char *two)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];
	size_t len = strlen(two);

	for (size_t j = 0; j <= len; j++)
		above[j] = j;
	for (size_t i = 1; one[i - 1] != '\0'; i++) {
		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			int a = lower(one[i - 1]), b = lower(two[j - 1]);
			row[j] = MIN(above[j], row[j - 1]) + 1;
			row[j] = MIN(row[j], above[j - 1] + (a != b));
			if (i > 1 && j > 1 && a == lower(two[j - 2]) &&
			    lower(one[i - 2]) == b)
				row[j] = MIN(row[j], before[j - 2] + 1);
		}
		size_t *next = before;
		before = above;
		above = row;
		row = next;
	}
	return above[len];
}

struct nearest
nearest_begin(const char *wrong)
{
	size_t len = strlen(wrong);

	/* A third may be wrong: of three letters one, of twelve four. */
	return (struct nearest){ wrong, NULL,
		len == 0 || len > WORD_MAX ? 0 : MAX(len / 3, 1) + 1 };
}

void
nearest_try(struct nearest *nearest, const char *word)
{
	size_t len = strlen(word), wrong_len = strlen(nearest->wrong);

	if (nearest->distance == 0 || len > WORD_MAX)
		return;
	size_t distance = measure(nearest->wrong, word);
	/* As far as possible, so that any other one is nearer. */
	if (wrong_len >= 3 && strcasestr(word, nearest->wrong) != NULL)
		distance = MIN(distance, MAX(wrong_len / 3, 1));
	/* Something must be left of the word. */
	if (distance < nearest->distance && distance < MIN(len, wrong_len)) {
		nearest->best = word;
		nearest->distance = distance;
	}
}
