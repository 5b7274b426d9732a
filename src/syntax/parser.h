#ifndef SYNTAX_PARSER_H
#define SYNTAX_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "syntax/lexer.h"
#include "syntax/mender.h"

#define PARSER_SHOWN 40 /* bytes of a text in a message */

/* For "%.*s": the text of a token, not all of it if it is long. */
#define PARSER_LENGTH(token)                                                   \
	((token)->text_end - (token)->text_at < PARSER_SHOWN                   \
		? (int)((token)->text_end - (token)->text_at)                  \
		: PARSER_SHOWN)
#define PARSER_TEXT(parser, token)                                             \
	PARSER_LENGTH(token), (parser)->lexer.text + (token)->text_at

/*
 * What syntax_read does once: the tokens of the lexer become faults, and the
 * members that the mender writes.
 */
struct parser {
	struct lexer lexer;
	struct mender mender;
	struct faults *faults;
	bool is_stopped; /* the rest makes no sense */
	bool has_bare;   /* a text without quotes is among the values */
	/* Where groups end whose end is missing, found by reading before. */
	const size_t *closings;
	size_t closing_count;
};

bool parser_is_closer(int kind);
bool parser_is_opener(int kind);
bool parser_is_scalar(int kind);

/* What closes it: "}", ")" or "]". */
const char *parser_closer(const struct frame *frame);

/* Skips what may end a setting; not what seems to be a comment of INI. */
void parser_skip_end(struct parser *parser);

/* The closer of the innermost group or list is missing in front of token. */
void parser_close_missing(struct parser *parser, const struct token *token);

/* Takes a closer, and what it closes. */
void parser_read_closer(struct parser *parser, const struct token *token);

/* Begins a value that is a group or list, by its opener. */
void parser_open(struct parser *parser, const struct token *token);

/* Takes a value, or the beginning of one that is a group or list. */
void parser_read_value(struct parser *parser);

/* Takes one member of a group, or the end of the group. */
void parser_read_statement(struct parser *parser);

#endif
