#include <ctype.h>
#include <string.h>

#include "syntax/parser.h"

#define MEMBERS_MAX 256 /* settings of a group: libconfig searches them all */

/* One fault says it all: the file is of another kind. */
static void
stop(struct parser *parser, const struct token *token, const char *why)
{
	faults_cut(parser->faults, 0);
	faults_add(parser->faults, token->at, token->end, "%s", why);
	parser->is_stopped = true;
}

static void
skip_line(struct parser *parser)
{
	parser->lexer.at += strcspn(parser->lexer.text + parser->lexer.at,
	    "\n");
}

/* The column of byte number at, from 0. */
static size_t
column(const char *text, size_t at)
{
	size_t start = at;

	while (start > 0 && text[start - 1] != '\n')
		start--;
	return at - start;
}

static bool
is_dash(const struct token *token, const char *text)
{
	return token->kind == TOKEN_WORD && token->begins_line &&
	       token->end == token->at + 1 && text[token->at] == '-';
}

/* Whether what follows NAME and ':' is what YAML has there. */
static bool
is_yaml(const struct parser *parser, const struct token *name)
{
	const char *text = parser->lexer.text;
	struct token next = lexer_peek(&parser->lexer, true);

	if (text[parser->lexer.at - 1] != ':' || !next.begins_line)
		return false;
	return is_dash(&next, text) ||
	       column(text, next.at) > column(text, name->at);
}

#define YAML                                                                   \
	"this looks like YAML; here groups need braces and lists "             \
	"parentheses: limits: { ... }; listeners = ( { ... }, { ... } );"

/* Whether the setting that comes next has =, which YAML has not. */
static bool
has_equals(const struct parser *parser)
{
	struct lexer rest = lexer_fork(&parser->lexer, parser->lexer.at);

	lexer_next(&rest, false);
	return rest.text[lexer_next(&rest, false).at] == '=';
}

/* Returns true, and reports it, if no value follows NAME and '='. */
static bool
is_value_missing(struct parser *parser, const struct token *name,
    const struct token *equals)
{
	struct token next = lexer_peek(&parser->lexer, true);
	bool is_missing = !parser_is_scalar(next.kind) &&
	                  !parser_is_opener(next.kind);

	if (!is_missing && !lexer_sees_setting(&parser->lexer, true) &&
	    !is_dash(&next, parser->lexer.text))
		return false;
	if (is_yaml(parser, name))
		stop(parser, name,
		    has_equals(parser)
			? "a { is missing at the end of this line"
			: YAML);
	else
		faults_add(parser->faults, equals->at, equals->end,
		    "the value is missing: %.*s = VALUE;",
		    PARSER_TEXT(parser, name));
	return true;
}

/* Shows how the value that follows is set, if it is one word. */
static void
complain_equals(struct parser *parser, const struct token *name)
{
	struct token value = lexer_peek(&parser->lexer, true);
	struct lexer rest = lexer_fork(&parser->lexer, value.end);
	struct token next = lexer_peek(&rest, true);
	bool is_word = value.kind == TOKEN_NAME || value.kind == TOKEN_WORD;
	bool is_shown = (!parser_is_scalar(next.kind) || next.begins_line) &&
	                (value.kind != TOKEN_TEXT || value.is_plain) &&
	                value.end - value.at < PARSER_SHOWN;
	const char *quote = is_shown && is_word ? "\"" : "";

	faults_add(parser->faults, name->at, name->end,
	    "a = is missing behind the name: %.*s = %s%.*s%s;",
	    PARSER_TEXT(parser, name), quote,
	    is_shown ? (int)(value.end - value.at) : 5,
	    is_shown ? parser->lexer.text + value.at : "VALUE", quote);
}

/* Skips += or ->, which are not =. */
static bool
skip_operator(struct parser *parser, const struct token *name)
{
	struct token sign = lexer_peek(&parser->lexer, false);
	const char *text = parser->lexer.text + sign.at;
	size_t len = strspn(text, "+-!?~&|^%<>");

	if (len == 0 || sign.kind != TOKEN_WORD || len != sign.end - sign.at ||
	    (text[len] != '=' && text[len - 1] != '>'))
		return false;
	parser->lexer.at = sign.end + (text[len] == '=');
	faults_add(parser->faults, sign.at, parser->lexer.at,
	    "only = sets a value: %.*s = VALUE;", PARSER_TEXT(parser, name));
	return true;
}

/*
 * Takes what stands between a name and its value, also the second name of a
 * group.  Returns false if no value follows.
 */
static bool
read_equals(struct parser *parser, const struct token *name)
{
	struct token next = lexer_peek(&parser->lexer, false);

	if (next.kind == '=') {
		lexer_next(&parser->lexer, false);
		struct token second = lexer_peek(&parser->lexer, true);
		bool is_arrow = second.at == next.end &&
		                parser->lexer.text[second.at] == '>';
		if (second.kind == '=' || is_arrow) {
			faults_add(parser->faults, next.at, second.at + 1,
			    "one = is enough");
			parser->lexer.at = second.at + 1;
		}
		return !is_value_missing(parser, name, &next);
	}
	if (skip_operator(parser, name))
		return !is_value_missing(parser, name, &next);
	struct lexer rest = lexer_fork(&parser->lexer, next.end);
	if (parser_is_scalar(next.kind) && !next.begins_line &&
	    lexer_peek(&rest, false).kind == '{') {
		parser->lexer.at = next.end;
		next = lexer_peek(&rest, false);
	}
	bool is_group = parser_is_opener(next.kind);
	bool has_value = is_group ||
	                 (parser_is_scalar(next.kind) && !next.begins_line &&
			     !lexer_sees_setting(&parser->lexer, false));
	if (is_group)
		faults_add(parser->faults, name->at, next.end,
		    "a : or = is missing behind the name: %.*s: %c ...",
		    PARSER_TEXT(parser, name), next.kind);
	else if (has_value)
		complain_equals(parser, name);
	else if (next.kind == ';' || next.kind == '}')
		faults_add(parser->faults, name->at, name->end,
		    "the value is missing: %.*s = VALUE;",
		    PARSER_TEXT(parser, name));
	return has_value;
}

/* "listeners[0].port = 7000;" */
static bool
refuse_index(struct parser *parser, const struct token *name)
{
	const char *at = parser->lexer.text + name->end;

	if (at[0] != '[' || !isdigit((unsigned char)at[1]))
		return false;
	faults_add(parser->faults, name->at, name->end,
	    "a list is written as a whole: %.*s = ( { name = value; }, "
	    "{ ... } );",
	    PARSER_TEXT(parser, name));
	skip_line(parser);
	return true;
}

static void
refuse_value(struct parser *parser, const struct token *name)
{
	struct token nothing = *name;

	mender_scalar(&parser->mender, &nothing, MENDER_REFUSED);
	parser_skip_end(parser);
}

static void
read_setting(struct parser *parser, const struct token *name)
{
	struct mender *mender = &parser->mender;
	const struct syntax_place *twin = mender->muted == NULL
	                                    ? mender_find(mender, name)
	                                    : NULL;
	size_t faults_before = parser->faults->count;

	if (refuse_index(parser, name))
		return;
	if (mender->top->members == MEMBERS_MAX) {
		faults_add(parser->faults, name->at, name->end,
		    "this group has too many settings");
		parser->is_stopped = true;
		return;
	}
	if (twin != NULL)
		faults_add(parser->faults, name->at, name->end,
		    "%.*s is set twice: the first time in line %zu",
		    PARSER_TEXT(parser, name),
		    faults_line(parser->faults, twin->name_at));
	bool has_value = read_equals(parser, name);
	if (!has_value && parser->faults->count == faults_before) {
		faults_add(parser->faults, name->at, name->end,
		    "this is not a setting, which is written name = value;");
		parser_skip_end(parser);
		return;
	}
	mender_member(mender, name, twin != NULL);
	if (has_value)
		parser_read_value(parser);
	else
		refuse_value(parser, name);
}

/* A value behind '=' alone. */
static void
read_without_name(struct parser *parser, const struct token *equals)
{
	int kind = lexer_peek(&parser->lexer, true).kind;

	faults_add(parser->faults, equals->at, equals->end,
	    "a name is missing before this: name = value;");
	if (!parser_is_scalar(kind) && !parser_is_opener(kind))
		return;
	mender_member(&parser->mender, NULL, true);
	parser_read_value(parser);
}

/* What the file is, if it is of another kind. */
static const char *
find_kind(const struct token *token, const char *text)
{
	const char *at = text + token->at;

	if (is_dash(token, text) ||
	    (token->begins_line && strncmp(at, "---", 3) == 0))
		return YAML;
	if (strncmp(at, "<<<<<<<", 7) == 0)
		return "this is the mark of a merge that is not finished";
	return *at == '<' ? "this looks like XML; a setting here is name = "
	                    "value;"
	                  : NULL;
}

/* What stands where a setting should begin, and is not a name. */
static void
read_stray(struct parser *parser, struct token *token)
{
	const char *text = parser->lexer.text + token->at;

	const char *kind = find_kind(token, parser->lexer.text);
	int comment = strncmp(text, "--", 2) == 0
	                ? 2
	                : token->begins_line && *text == '%';

	if (kind != NULL) {
		stop(parser, token, kind);
		return;
	}
	if (strncmp(text, "@include", 8) == 0) {
		faults_add(parser->faults, token->at, token->end,
		    "@include is not supported: put the settings into this "
		    "file");
		skip_line(parser);
		return;
	}
	if (token->kind != TOKEN_TEXT)
		lexer_lengthen(&parser->lexer, token);
	if (comment > 0)
		faults_add(parser->faults, token->at, token->end,
		    "a comment begins with # or //, not with %.*s", comment,
		    text);
	else if (token->kind != TOKEN_WORD)
		faults_add(parser->faults, token->at, token->end,
		    "this value belongs to no setting: only lists, such as "
		    "allow = [ ..., ... ], have more than one");
	else
		faults_add(parser->faults, token->at, token->end,
		    "this is not a setting, which is written name = value;");
	parser_skip_end(parser);
}

/* It stands before '=', and is not a name. */
static void
complain_name(struct parser *parser, const struct token *token)
{
	const char *name = parser->lexer.text + token->text_at;
	int len = PARSER_LENGTH(token);
	const char *dot = memchr(name, '.', (size_t)len);

	if (dot != NULL && dot > name && dot + 1 < name + len)
		faults_add(parser->faults, token->at, token->end,
		    "a setting in a group is written %.*s: { %.*s = VALUE; };",
		    (int)(dot - name), name, (int)(name + len - dot - 1),
		    dot + 1);
	else
		faults_add(parser->faults, token->at, token->end,
		    "this cannot be a name, which begins with a letter and "
		    "has letters, digits, - and _");
}

/* A name in quotes, as in JSON, or what can't be a name. */
static void
read_wrong_name(struct parser *parser, struct token *token)
{
	if (lexer_peek(&parser->lexer, false).kind != '=') {
		read_stray(parser, token);
		return;
	}
	if (token->kind == TOKEN_TEXT) {
		struct lexer inner = lexer_fork(&parser->lexer, token->text_at);
		struct token name = lexer_next(&inner, false);
		if (name.kind == TOKEN_NAME && name.end == token->text_end) {
			faults_add(parser->faults, token->at, token->end,
			    "a name needs no quotes: %.*s = VALUE;",
			    PARSER_TEXT(parser, token));
			read_setting(parser, &name);
			return;
		}
	}
	complain_name(parser, token);
	struct token equals = lexer_next(&parser->lexer, false);
	mender_member(&parser->mender, NULL, true);
	if (is_value_missing(parser, token, &equals))
		refuse_value(parser, token);
	else
		parser_read_value(parser);
}

/* "[name]" in a line */
static bool
is_section(const struct parser *parser, const struct token *token)
{
	const char *at = parser->lexer.text + token->at;
	size_t len = strcspn(at, "\n");

	return token->begins_line && memchr(at, ']', len) != NULL &&
	       memchr(at, '"', len) == NULL;
}

/* A group or list without a name, in a group. */
static void
read_nameless(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;
	bool is_root = top == parser->mender.frames;

	struct lexer start = lexer_fork(&parser->lexer, 0);

	lexer_skip(&start);
	if (start.at == token->at && token->kind == '{') {
		bool is_json = lexer_peek(&parser->lexer, false).kind ==
		               TOKEN_TEXT;
		stop(parser, token,
		    is_json ? "this looks like JSON; here the file has no "
			      "braces around it, and a setting is name = "
			      "value; with no quotes around the name"
			    : "the file has no braces around it");
	} else if (token->kind == '[' && is_section(parser, token)) {
		stop(parser, token,
		    "this looks like an INI or TOML file; a group here is "
		    "limits: { name = value; };");
	} else if (token->kind == '{' && !is_root && top[-1].is_list) {
		parser_close_missing(parser, token);
	} else {
		faults_add(parser->faults, token->at, token->end,
		    "a name is missing before this: name = %c ...",
		    token->kind);
		mender_member(&parser->mender, NULL, true);
		parser_open(parser, token);
	}
}

static void
read_separator(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;
	struct token next = lexer_peek(&parser->lexer, false);

	if (token->kind == ';' && token->begins_line && !next.begins_line &&
	    next.kind != TOKEN_END) {
		faults_add(parser->faults, token->at, token->end,
		    "a comment begins with # or //, not with ;");
		skip_line(parser);
	} else if (token->kind == ',' && next.kind == '{' &&
		   top > parser->mender.frames && top[-1].is_list) {
		parser_close_missing(parser, token);
	} else {
		faults_add(parser->faults, token->at, token->end,
		    "this %c is one too many", token->kind);
	}
}

/* Whether the end of the group is missing before a setting at token. */
static bool
is_closing(struct parser *parser, const struct token *token)
{
	struct frame *top = parser->mender.top;
	const char *text = parser->lexer.text;

	for (size_t i = 0; i < parser->closing_count; i++)
		if (parser->closings[i] == token->at)
			return top > parser->mender.frames;
	if (top > parser->mender.frames && top->suspect == 0 &&
	    token->begins_line) {
		size_t line = top->at - column(text, top->at);
		size_t indent = strspn(text + line, " \t");
		if (mender_line(&parser->mender, token->at) > top->line &&
		    column(text, token->at) <= indent)
			top->suspect = token->at;
	}
	return false;
}

void
parser_read_statement(struct parser *parser)
{
	struct token token = lexer_next(&parser->lexer, false);

	if (token.kind == TOKEN_NAME && is_closing(parser, &token))
		parser_close_missing(parser, &token);
	else if (token.kind == TOKEN_NAME)
		read_setting(parser, &token);
	else if (parser_is_scalar(token.kind))
		read_wrong_name(parser, &token);
	else if (parser_is_closer(token.kind))
		parser_read_closer(parser, &token);
	else if (parser_is_opener(token.kind))
		read_nameless(parser, &token);
	else if (token.kind == '=')
		read_without_name(parser, &token);
	else
		read_separator(parser, &token);
}
