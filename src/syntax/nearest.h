#ifndef SYNTAX_NEAREST_H
#define SYNTAX_NEAREST_H

#include <stddef.h>

/*
 * The word that was probably meant by a wrong one: that with the least number
 * of letters to insert, remove, replace or swap, if they are few, or one that
 * has the wrong one in it.  Upper and lower case are the same.  Any thread.
 */
struct nearest {
	const char *wrong, *best; /* best: NULL if no word is near */
	size_t distance;
};

/* Begins to look for wrong, which must stay as long as nearest is used. */
struct nearest nearest_begin(const char *wrong);

/* Offers a word, which must stay too.  Of two as near the first is best. */
void nearest_try(struct nearest *nearest, const char *word);

#endif
