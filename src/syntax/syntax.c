#include "syntax/syntax.h"

#include <stdlib.h>
#include <string.h>

#include "syntax/parser.h"

#define CLOSINGS_MAX 4

/* In a list: [ needs to be ( where its members are groups. */
static void
check_brackets(struct parser *parser, const struct token *member)
{
	struct frame *top = parser->mender.top;

	if (top->opener == '[' && top->members == 0 &&
	    parser_is_opener(member->kind))
		faults_add(parser->faults, top->at, top->at + 1,
		    "a list of groups needs parentheses, not [ ]: "
		    "( { ... }, { ... } )");
}

/* In a list: a setting, so there is a brace or a parenthesis missing. */
static void
read_setting_in_list(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;
	struct token nothing = *token;

	if (top->members > 0 && !top->is_separated) {
		parser_close_missing(parser, token);
		return;
	}
	faults_add(parser->faults, token->at, token->end,
	    "settings need braces around them: { name = value; ... }");
	mender_member(&parser->mender, NULL, false);
	if (mender_open(&parser->mender, &nothing, false) == 0)
		parser->mender.top->opener = '\0';
	else
		parser->is_stopped = true;
}

static void
read_comma(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;

	if (token->kind == ';')
		faults_add(parser->faults, token->at, token->end,
		    "the members of a list are separated by commas, not by "
		    "semicolons");
	else if (top->is_separated || top->members == 0)
		faults_add(parser->faults, token->at, token->end,
		    "this , is one too many");
	top->is_separated = true;
}

/* One member of a list, or the comma behind it. */
static void
read_member(struct parser *parser)
{
	struct frame *top = parser->mender.top;
	struct token token = lexer_peek(&parser->lexer, true);

	if (lexer_sees_setting(&parser->lexer, false)) {
		read_setting_in_list(parser, &token);
		return;
	}
	if (parser_is_scalar(token.kind) || parser_is_opener(token.kind)) {
		if (top->members > 0 && !top->is_separated)
			faults_add(parser->faults, token.at, token.end,
			    "a comma is missing before this");
		check_brackets(parser, &token);
		mender_member(&parser->mender, NULL, false);
		parser_read_value(parser);
		return;
	}
	token = lexer_next(&parser->lexer, true);
	if (parser_is_closer(token.kind))
		parser_read_closer(parser, &token);
	else if (token.kind == ',' || token.kind == ';')
		read_comma(parser, &token);
	else
		faults_add(parser->faults, token.at, token.end,
		    "this = is one too many");
}

/* At the end of the text.  Where a group should have ended; 0: unknown. */
static size_t
close_all(struct parser *parser)
{
	struct mender *mender = &parser->mender;
	size_t suspect = 0;

	while (mender->top > mender->frames) {
		struct frame *top = mender->top;
		if (suspect == 0)
			suspect = top->suspect;
		if (top->opener != '\0')
			faults_add(parser->faults, top->at, top->at + 1,
			    "this %c is not closed: its %s is missing",
			    top->opener, parser_closer(top));
		mender_close(mender, parser->lexer.at);
	}
	return suspect;
}

/* Returns what close_all does. */
static size_t
parse(struct parser *parser)
{
	while (!parser->is_stopped && parser->faults->count < FAULTS_MAX &&
	       lexer_peek(&parser->lexer, true).kind != TOKEN_END)
		if (parser->mender.top->is_list)
			read_member(parser);
		else
			parser_read_statement(parser);
	if (parser->is_stopped)
		return 0;
	/* For the comments behind the last token. */
	if (parser->faults->count < FAULTS_MAX)
		lexer_skip(&parser->lexer);
	return close_all(parser);
}

int
syntax_read(struct syntax *syntax, struct faults *faults)
{
	size_t closings[CLOSINGS_MAX], count = 0, suspect;
	size_t faults_before = faults->count, len;
	bool is_stopped, is_strict = true;

	for (;;) {
		syntax_free(syntax);
		FILE *out = open_memstream(&syntax->mended, &len);
		if (out == NULL)
			return -1;
		struct parser parser = {
			.lexer = { faults->text, 0, faults, is_strict },
			.faults = faults,
			.closings = closings,
			.closing_count = count,
		};
		mender_begin(&parser.mender, syntax, faults->text, out);
		suspect = parse(&parser);
		is_stopped = parser.is_stopped;
		fclose(out);
		/* What libconfig takes is right, whatever it looks like. */
		bool is_wrong = faults->count > faults_before ||
		                parser.has_bare;
		if (!is_wrong ||
		    (!is_strict && (suspect == 0 || count == CLOSINGS_MAX)))
			break;
		if (!is_strict)
			closings[count++] = suspect;
		is_strict = false;
		faults_cut(faults, faults_before);
	}
	return is_stopped || syntax->mended == NULL ? -1 : 0;
}

void
syntax_free(struct syntax *syntax)
{
	free(syntax->mended);
	free(syntax->places);
	memset(syntax, 0, sizeof(*syntax));
}
