#ifndef SYNTAX_MENDER_H
#define SYNTAX_MENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "syntax/lexer.h"
#include "syntax/syntax.h"

/* A group or a list that is open; the first is the whole file, a group. */
struct frame {
	char opener; /* '{', '(' or '['; '\0': there is none */
	bool is_list;
	size_t at, line; /* of the opener */
	size_t members;  /* so far */
	size_t last;     /* the place of the last member with a name, plus 1 */
	bool is_separated; /* a comma came after the last member */
	size_t suspect;    /* where its end may be missing; 0: nowhere */
};

/*
 * Writes the mended text: what the parser has read, in the same lines, and no
 * more than libconfig takes.  Keeps what is open.
 */
struct mender {
	struct syntax *syntax;
	const char *text;
	FILE *out;
	size_t line, out_line; /* of counted, and of what was written */
	size_t counted;
	struct frame frames[SYNTAX_DEPTH_MAX], *top;
	struct frame *muted; /* NULL, or where a member is left out */
};

void mender_begin(struct mender *mender, struct syntax *syntax,
    const char *text, FILE *out);

/* The line of byte number at, which is not before that of the last call. */
size_t mender_line(struct mender *mender, size_t at);

/* The place of the setting that has this name in the group; NULL: none has. */
const struct syntax_place *mender_find(const struct mender *mender,
    const struct token *name);

/*
 * Begins a member: a setting of this name, or a member of a list if it is NULL.
 * It is left out of the text if is_left_out, or if memory runs out.
 */
void mender_member(struct mender *mender, const struct token *name,
    bool is_left_out);

/* Its value: as it is in the text, to be quoted, or refused. */
enum mender_value { MENDER_PLAIN, MENDER_BARE, MENDER_QUOTED, MENDER_REFUSED };
void mender_scalar(struct mender *mender, const struct token *value,
    enum mender_value how);

/* More text behind a text that was not left out. */
void mender_append(struct mender *mender, const struct token *text);

/* A value that is a group or a list, and its end.  -1: too deep. */
int mender_open(struct mender *mender, const struct token *opener,
    bool is_list);
void mender_close(struct mender *mender, size_t at);

#endif
