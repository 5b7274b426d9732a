#ifndef SYNTAX_SYNTAX_H
#define SYNTAX_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#include "syntax/faults.h"

/* Groups and lists in each other, with the file; settings need 4. */
#define SYNTAX_DEPTH_MAX 64

/* Where a setting or a member of a list stands; a member has no name. */
struct syntax_place {
	size_t name_at, name_end;
	size_t value_at, value_end;
	size_t more_at;  /* of a text in pieces: the second; 0: it has one */
	size_t twin;     /* of names: the one before in its group, plus 1 */
	bool is_bare;    /* text without quotes; to be refused */
	bool is_refused; /* its value was refused */
};

/*
 * The syntax of a file.  libconfig stops at the first error and does not say
 * what it is, so this finds all of them, with their likely causes, and leaves
 * a text without them, in the same lines, for libconfig to read.  What
 * libconfig takes is refused only if it is a mistake all the same.
 */
struct syntax {
	char *mended;
	struct syntax_place *places; /* in the order of the mended text */
	size_t count, room;
};

/*
 * Reads faults->text, to which it adds faults.  0, or -1 when the rest of the
 * text would make no sense.  Free it either way.
 */
int syntax_read(struct syntax *syntax, struct faults *faults);
void syntax_free(struct syntax *syntax);

#endif
