#include "syntax/parser.h"

#include <string.h>

bool
parser_is_closer(int kind)
{
	return kind == '}' || kind == ')' || kind == ']';
}

bool
parser_is_opener(int kind)
{
	return kind == '{' || kind == '(' || kind == '[';
}

bool
parser_is_scalar(int kind)
{
	return kind == TOKEN_NAME || kind == TOKEN_TEXT ||
	       kind == TOKEN_NUMBER || kind == TOKEN_FLAG || kind == TOKEN_WORD;
}

const char *
parser_closer(const struct frame *frame)
{
	return frame->opener == '[' ? "]" : frame->opener == '(' ? ")" : "}";
}

void
parser_skip_end(struct parser *parser)
{
	struct token token = lexer_peek(&parser->lexer, false);
	struct lexer rest = lexer_fork(&parser->lexer, token.end);

	if (parser->mender.top->is_list ||
	    (token.kind != ';' && token.kind != ','))
		return;
	struct token next = lexer_peek(&rest, false);
	bool is_comment = token.kind == ';' && token.begins_line &&
	                  !next.begins_line && next.kind != TOKEN_END &&
	                  !parser_is_closer(next.kind) &&
	                  !lexer_sees_setting(&rest, false);
	if (!is_comment)
		lexer_next(&parser->lexer, false);
}

/* Ends the innermost group or list. */
static void
close_top(struct parser *parser, size_t at)
{
	mender_close(&parser->mender, at);
	/* It had no opener of its own: what it was in is closed as well. */
	parser_skip_end(parser);
}

void
parser_close_missing(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;

	if (top->opener != '\0')
		faults_add(parser->faults, token->at, token->end,
		    "a %s is missing before this: the %c of line %zu is still "
		    "open",
		    parser_closer(top), top->opener, top->line);
	mender_close(&parser->mender, token->at);
	parser->lexer.at = token->at;
}

/* Whether closer, that of token, ends what is open there. */
static bool
fits(const struct frame *frame, int closer)
{
	return frame->opener == '{' ? closer == '}'
	                            : frame->opener != '\0' && closer != '}';
}

void
parser_read_closer(struct parser *parser, const struct token *token)
{
	struct frame *root = parser->mender.frames, *found = parser->mender.top;

	while (found > root && !fits(found, token->kind))
		found--;
	/* Rather a wrong closer than none. */
	if (found == root)
		found = parser->mender.top;
	if (found == root) {
		faults_add(parser->faults, token->at, token->end,
		    "nothing is open that this %c could close", token->kind);
		parser_skip_end(parser);
		return;
	}
	while (parser->mender.top > found)
		parser_close_missing(parser, token);
	if (*parser_closer(found) != token->kind)
		faults_add(parser->faults, token->at, token->end,
		    "the %c of line %zu is closed by %s, not by %c",
		    found->opener, found->line, parser_closer(found),
		    token->kind);
	parser->lexer.at = token->end;
	close_top(parser, token->at);
}

void
parser_open(struct parser *parser, const struct token *token)
{
	bool is_list = token->kind != '{';

	/* A list in the braces of a group. */
	if (!is_list && lexer_peek(&parser->lexer, false).kind == '{') {
		faults_add(parser->faults, token->at, token->end,
		    "a list of groups needs parentheses: "
		    "( { ... }, { ... } )");
		is_list = true;
	}
	if (mender_open(&parser->mender, token, is_list) == 0)
		return;
	faults_add(parser->faults, token->at, token->end,
	    "nested too deeply: at most %d groups and lists may be in each "
	    "other",
	    SYNTAX_DEPTH_MAX - 1);
	parser->is_stopped = true;
}

/* Texts that follow each other are one; it may be left out as a whole. */
static void
read_more_text(struct parser *parser, bool is_left_out)
{
	struct token token;

	while ((token = lexer_peek(&parser->lexer, false)).kind == TOKEN_TEXT &&
	       token.is_plain) {
		struct lexer rest = lexer_fork(&parser->lexer, token.end);
		if (lexer_next(&rest, false).kind == '=')
			return;
		if (!is_left_out)
			mender_append(&parser->mender, &token);
		parser->lexer.at = token.end;
	}
}

/* Whether words follow a number in its line, as in 5 minutes. */
static bool
has_unit(const struct parser *parser)
{
	struct token next = lexer_peek(&parser->lexer, true);

	return !next.begins_line &&
	       (next.kind == TOKEN_NAME || next.kind == TOKEN_WORD ||
		   next.kind == TOKEN_NUMBER) &&
	       !lexer_sees_setting(&parser->lexer, false);
}

/* Whether a word runs into the closing quote of a text: it has quotes in it. */
static bool
has_quotes(struct parser *parser)
{
	struct token next = lexer_peek(&parser->lexer, true);
	size_t at = parser->lexer.at;

	if (next.at != at || next.kind == TOKEN_TEXT ||
	    !parser_is_scalar(next.kind) ||
	    lexer_sees_setting(&parser->lexer, false))
		return false;
	faults_add(parser->faults, at - 1, at,
	    "this quote ends the text: a quote in a text is written \\\"");
	parser->lexer.at += strcspn(parser->lexer.text + at, ";,)}]\r\n");
	return true;
}

/* Whether a quote ends the word, and what it is in. */
static bool
ends_with_quote(struct parser *parser, struct token *word)
{
	const char *end = parser->lexer.text + word->end;

	if (*end != '"' || strchr("\";,)}] \t\r\n", end[1]) == NULL)
		return false;
	word->end = ++parser->lexer.at;
	faults_add(parser->faults, word->at, word->end,
	    "the opening quote of this text is missing");
	return true;
}

void
parser_read_value(struct parser *parser)
{
	struct token token = lexer_next(&parser->lexer, true);
	enum mender_value how = MENDER_PLAIN;

	if (parser_is_opener(token.kind)) {
		parser_open(parser, &token);
		return;
	}
	bool is_bare = token.kind == TOKEN_NAME || token.kind == TOKEN_WORD ||
	               (token.kind == TOKEN_NUMBER && has_unit(parser));
	parser->has_bare |= is_bare;
	if (is_bare)
		lexer_lengthen(&parser->lexer, &token);
	if (token.kind == TOKEN_TEXT && !token.is_plain)
		how = MENDER_QUOTED;
	else if (token.kind == TOKEN_TEXT && has_quotes(parser))
		how = MENDER_REFUSED;
	else if (token.kind != TOKEN_TEXT && ends_with_quote(parser, &token))
		how = MENDER_QUOTED;
	else if (is_bare)
		how = MENDER_BARE;
	else if (token.is_number_wrong)
		how = MENDER_REFUSED;
	struct frame *muted = parser->mender.muted;
	mender_scalar(&parser->mender, &token, how);
	if (token.kind == TOKEN_TEXT && how == MENDER_PLAIN)
		read_more_text(parser, muted != NULL);
	parser_skip_end(parser);
}
