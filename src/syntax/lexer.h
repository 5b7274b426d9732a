#ifndef SYNTAX_LEXER_H
#define SYNTAX_LEXER_H

#include <stdbool.h>
#include <stddef.h>

#include "syntax/faults.h"

/* All others are the characters "=;,(){}[]" themselves; ':' is '='. */
enum token_kind {
	TOKEN_END = 0,
	TOKEN_NAME = 'n',
	TOKEN_TEXT = 't',
	TOKEN_NUMBER = '0',
	TOKEN_FLAG = 'f',
	TOKEN_WORD = 'w', /* what needs quotes, or stands in a wrong place */
};

struct token {
	int kind;
	size_t at, end;           /* with its quotes */
	size_t text_at, text_end; /* without them */
	bool is_plain;            /* quoted as libconfig reads it */
	bool begins_line;
	bool is_number_wrong; /* out of range, and that was said */
};

/*
 * Takes a text apart, more patiently than libconfig does: what it repairs, such
 * as a quote that is missing, is a fault.
 */
struct lexer {
	const char *text;
	size_t at;
	struct faults *faults; /* NULL: does not complain */
	bool is_strict;        /* quotes are closed as libconfig reads them */
};

/* One that goes on at another place, and does not complain. */
struct lexer lexer_fork(const struct lexer *lexer, size_t at);

/* Where a token may begin behind at: skips blanks and comments. */
void lexer_skip(struct lexer *lexer);

/* The next token; where a value is expected, a word may have ':' in it. */
struct token lexer_next(struct lexer *lexer, bool is_value);

/* The same, and does not move. */
struct token lexer_peek(const struct lexer *lexer, bool is_value);

/* Whether NAME and '=' or ':' come next; at_line: in a later line. */
bool lexer_sees_setting(const struct lexer *lexer, bool at_line);

/* Lengthens a word, the last token, to all the words that belong to it. */
void lexer_lengthen(struct lexer *lexer, struct token *word);

#endif
