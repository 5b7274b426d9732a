#include "syntax/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* What programs for text make of quotes and spaces, in UTF-8. */
#define NO_BREAK_SPACE "\xc2\xa0"
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

#define COMPLAIN(lexer, ...)                                                   \
	((lexer)->faults != NULL ? faults_add((lexer)->faults, __VA_ARGS__)    \
				 : (void)0)

static bool
begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool
is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*';
}

/* The length of a blank that is none to libconfig; 0: there is none. */
static size_t
odd_blank(const char *text)
{
	static const char *const blanks[] = { NO_BREAK_SPACE, BYTE_ORDER_MARK,
		"\xe2\x80\x89", "\xe2\x80\x8b", "\xe2\x80\xaf", "\xe2\x81\xa0",
		"\xe3\x80\x80" };

	for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++)
		if (begins(text, blanks[i]))
			return strlen(blanks[i]);
	return 0;
}

/* A sign that only seems to mean something; its length, 0: there is none. */
static size_t
odd_sign(struct lexer *lexer, const char *text)
{
	size_t blank = odd_blank(text);

	if (blank > 0) {
		COMPLAIN(lexer, lexer->at, lexer->at + blank,
		    "a %s, as web pages have it: type a space",
		    begins(text, NO_BREAK_SPACE) ? "no-break space"
						 : "blank that is not a space");
		return blank;
	}
	if (*text == '\\' && text[1 + strspn(text + 1, "\r")] == '\n') {
		COMPLAIN(lexer, lexer->at, lexer->at + 1,
		    "a setting continues in the next line without a \\");
		return 1;
	}
	/* Behind the name * there may be a comment. */
	if (begins(text, "*/") && text[2] != '/' && text[2] != '*') {
		COMPLAIN(lexer, lexer->at, lexer->at + 2,
		    "no comment is open here: a comment in a comment ends both "
		    "with the first */");
		return 2;
	}
	return 0;
}

static void
skip_comment(struct lexer *lexer)
{
	const char *at = lexer->text + lexer->at;
	const char *end = strstr(at + 2, "*/");

	if (end == NULL)
		COMPLAIN(lexer, lexer->at, lexer->at + 2,
		    "this comment does not end: its */ is missing");
	lexer->at += end != NULL ? (size_t)(end + 2 - at) : strlen(at);
}

struct lexer
lexer_fork(const struct lexer *lexer, size_t at)
{
	return (struct lexer){ lexer->text, at, NULL, lexer->is_strict };
}

void
lexer_skip(struct lexer *lexer)
{
	for (;;) {
		const char *at = lexer->text + lexer->at;
		size_t odd;
		if (lexer->at == 0 && begins(at, BYTE_ORDER_MARK)) {
			lexer->at += strlen(BYTE_ORDER_MARK);
		} else if (*at != '\0' && strchr(" \t\n\r\f", *at) != NULL) {
			lexer->at++;
		} else if (*at == '#' || begins(at, "//")) {
			lexer->at += strcspn(at, "\n");
		} else if (begins(at, "/*")) {
			skip_comment(lexer);
		} else if ((odd = odd_sign(lexer, at)) > 0) {
			lexer->at += odd;
		} else {
			return;
		}
	}
}

/* The length of what opens a text in other quotes; *close: what closes it. */
static size_t
find_quote(const char *text, const char **close)
{
	static const struct {
		const char *open, *close;
	} quotes[] = {
		{ "'", "'" }, { "`", "`" },
		{ "\xe2\x80\x9c", "\xe2\x80\x9d" }, /* English */
		{ "\xe2\x80\x9d", "\xe2\x80\x9d" },
		{ "\xe2\x80\x9e", "\xe2\x80\x9c" }, /* German */
		{ "\xe2\x80\x98", "\xe2\x80\x99" },
		{ "\xc2\xab", "\xc2\xbb" }, /* French */
	};

	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++)
		if (begins(text, quotes[i].open)) {
			*close = quotes[i].close;
			return strlen(quotes[i].open);
		}
	return 0;
}

/* Text in quotes that libconfig does not know. */
static void
read_quoted(struct lexer *lexer, struct token *token, size_t len,
    const char *close)
{
	const char *at = lexer->text + token->at + len;
	size_t line = strcspn(at, "\r\n");
	const char *end = memmem(at, line, close, strlen(close));
	const char *straight = memchr(at, '"', line);
	if (straight != NULL &&
	    (end == NULL || (straight < end && straight[1] == ';'))) {
		end = straight;
		close = "\"";
	}
	size_t inner = end != NULL ? (size_t)(end - at) : strcspn(at, ";,\r\n");

	token->kind = TOKEN_TEXT;
	token->text_at = token->at + len;
	token->text_end = token->text_at + inner;
	token->end = token->text_end + (end != NULL ? strlen(close) : 0);
	COMPLAIN(lexer, token->at, token->end,
	    "text needs straight double quotes: \"%.*s\"",
	    inner < 64 ? (int)inner : 64, at);
}

/* Whether a word comes next, which never follows a text. */
static bool
is_word(const char *text)
{
	return strchr("\"#;,)}] \t\r\n\f", *text) == NULL &&
	       !begins(text, "//") && !begins(text, "/*");
}

/*
 * Whether the closing quote of len bytes is one that should open the next text,
 * as the second in: a = "x; b = "y";
 */
static bool
is_next_quote(const char *text, size_t len)
{
	if (!is_word(text + len + 1))
		return false;
	while (len > 0 && isblank((unsigned char)text[len - 1]))
		len--;
	if (len == 0 || (text[len - 1] != '=' && text[len - 1] != ':'))
		return false;
	for (len--; len > 0 && isblank((unsigned char)text[len - 1]);)
		len--;
	size_t name_end = len;
	while (len > 0 && is_name_byte(text[len - 1]))
		len--;
	if (len == name_end)
		return false;
	while (len > 0 && isblank((unsigned char)text[len - 1]))
		len--;
	return len > 0 && (text[len - 1] == ';' || text[len - 1] == ',');
}

/* Text that is not closed ends with its line, or earlier. */
static void
read_unclosed(struct lexer *lexer, struct token *token)
{
	static const char *const others[] = { "\xe2\x80\x9d", "\xe2\x80\x9c",
		"\xc2\xbb", "''", "'" };
	const char *start = lexer->text + token->text_at;
	const char *why = "the closing quote of this text is missing";
	size_t len = strcspn(start, ";,)}\r\n");
	size_t inner = strcspn(start, "[]");

	/* What ends a list, unless it is in brackets as a whole. */
	if (inner < len && start[inner] == ']')
		len = inner;
	while (len > 0 && isblank((unsigned char)start[len - 1]))
		len--;
	token->end = token->text_end = token->text_at + len;
	if (len > 1 && strncmp(start + len - 2, "\\\"", 2) == 0)
		why = "the closing quote of this text is missing: \\\" is a "
		      "quote in it";
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		size_t other = strlen(others[i]);
		if (len >= other && begins(start + len - other, others[i])) {
			token->text_end = MIN(token->text_end,
			    token->end - other);
			why = "text needs straight double quotes";
		}
	}
	COMPLAIN(lexer, token->at, token->end, "%s", why);
}

/* Text in quotes. */
static void
read_text(struct lexer *lexer, struct token *token)
{
	const char *start = lexer->text + token->at + 1, *at = start;
	char end = lexer->is_strict ? '\0' : '\n';

	while (*at != '\0' && *at != '"' && *at != end)
		at += *at == '\\' && at[1] != '\0' && at[1] != end ? 2 : 1;
	token->kind = TOKEN_TEXT;
	token->text_at = token->at + 1;
	token->is_plain = *at == '"' &&
	                  (lexer->is_strict ||
			      !is_next_quote(start, (size_t)(at - start)));
	token->text_end = token->text_at + (size_t)(at - start);
	token->end = token->text_end + 1;
	if (!token->is_plain)
		read_unclosed(lexer, token);
}

/* Returns the end of what is like [-+]?[0-9]+ */
static const char *
skip_digits(const char *at)
{
	while (isdigit((unsigned char)*at))
		at++;
	return at;
}

/* Whether len bytes are a number to libconfig; it may be out of range. */
static bool
is_number(const char *text, size_t len)
{
	const char *at = text + (text[0] == '-' || text[0] == '+');
	const char *end = text + len;
	bool is_hex = at == text && at[0] == '0' && (at[1] | 0x20) == 'x';
	const char *digits = is_hex ? at + 2 : at;
	const char *next = digits;

	if (is_hex)
		while (isxdigit((unsigned char)*next))
			next++;
	else
		next = skip_digits(at);
	if (next > digits && next < end && *next == 'L')
		return next + 1 == end || (next[1] == 'L' && next + 2 == end);
	if (is_hex)
		return next > digits && next == end;
	bool has_digits = next > digits;
	if (*next == '.') {
		has_digits |= isdigit((unsigned char)next[1]) != 0;
		next = skip_digits(next + 1);
	}
	if (has_digits && (*next | 0x20) == 'e') {
		const char *power = next + 1 +
		                    (next[1] == '-' || next[1] == '+');
		next = skip_digits(power) > power ? skip_digits(power) : next;
	}
	return has_digits && next == end;
}

/*
 * Complains of an integer that is out of range: libconfig 1.5 takes it modulo
 * 2^32.
 */
static bool
is_out_of_range(struct lexer *lexer, const struct token *token)
{
	const char *at = lexer->text + token->at;
	const char *digits = at + (*at == '-' || *at == '+');
	int base = digits[0] == '0' && (digits[1] | 0x20) == 'x' ? 16 : 10;
	char *end;

	errno = 0;
	unsigned long long value = strtoull(digits, &end, base);
	unsigned long long max = *end == 'L' ? INT64_MAX : INT_MAX;
	bool is_fraction = *end == '.' || (base == 10 && (*end | 0x20) == 'e');
	if (is_fraction || (errno == 0 && value <= max))
		return false;
	COMPLAIN(lexer, token->at, token->end,
	    "the number %.*s is out of range",
	    (int)(end - at < 64 ? end - at : 64), at);
	return true;
}

/* The length of the word at text. */
static size_t
word_length(const char *text, bool is_value)
{
	static const char ends[] = " \t\r\n\f(){}[],;=\"#";
	const char *at = text;

	/* $(...) and ${...} are one word. */
	if (*at == '$' && (at[1] == '(' || at[1] == '{'))
		at += strcspn(at, ")}\r\n");
	at += at > text && (*at == ')' || *at == '}');
	for (; *at != '\0' && strchr(ends, *at) == NULL; at++)
		if ((*at == ':' && !is_value) ||
		    (at[0] == '/' && (at[1] == '*' || at[1] == '/') &&
			(at == text || at[-1] != ':')) ||
		    odd_blank(at) > 0)
			break;
		else if (at[0] == '/' && at[1] == '/')
			at++;
	return (size_t)(at - text);
}

static void
read_word(struct lexer *lexer, struct token *token, bool is_value)
{
	const char *text = lexer->text + token->at;
	size_t len = word_length(text, is_value), name = 0;

	if (len == 0)
		len = 1;
	while (name < len && is_name_byte(text[name]))
		name++;
	token->kind = TOKEN_WORD;
	token->end = token->at + len;
	if (is_number(text, len)) {
		token->kind = TOKEN_NUMBER;
		token->is_number_wrong = is_out_of_range(lexer, token);
	} else if ((len == 4 && strncasecmp(text, "true", len) == 0) ||
		   (len == 5 && strncasecmp(text, "false", len) == 0)) {
		token->kind = TOKEN_FLAG;
	} else if (name == len &&
		   (isalpha((unsigned char)*text) || *text == '*')) {
		token->kind = TOKEN_NAME;
	}
	token->text_at = token->at;
	token->text_end = token->end;
}

struct token
lexer_next(struct lexer *lexer, bool is_value)
{
	size_t before = lexer->at;
	const char *close;

	lexer_skip(lexer);
	struct token token = { .at = lexer->at };
	const char *at = lexer->text + lexer->at;
	token.begins_line = before == 0 || memchr(lexer->text + before, '\n',
					       lexer->at - before) != NULL;
	size_t quote = find_quote(at, &close);
	token.end = token.at + 1;
	if (*at == '\0')
		token.end = token.at;
	else if (*at == '"')
		read_text(lexer, &token);
	else if (quote > 0)
		read_quoted(lexer, &token, quote, close);
	else if (*at == '=' || (*at == ':' && (!is_value || at[1] != ':')))
		token.kind = '=';
	else if (strchr(";,(){}[]", *at) != NULL)
		token.kind = (unsigned char)*at;
	else
		read_word(lexer, &token, is_value);
	lexer->at = token.end;
	return token;
}

struct token
lexer_peek(const struct lexer *lexer, bool is_value)
{
	struct lexer quiet = lexer_fork(lexer, lexer->at);

	return lexer_next(&quiet, is_value);
}

bool
lexer_sees_setting(const struct lexer *lexer, bool at_line)
{
	struct lexer quiet = lexer_fork(lexer, lexer->at);
	struct token name = lexer_next(&quiet, false);

	if (name.kind != TOKEN_NAME || (at_line && !name.begins_line))
		return false;
	if (begins(quiet.text + quiet.at, "::"))
		return false;
	return lexer_next(&quiet, false).kind == '=';
}

void
lexer_lengthen(struct lexer *lexer, struct token *word)
{
	const char *start = lexer->text + word->end;
	size_t len = strcspn(start, "\r\n;,(){}[]=\"#");

	if (start[len] == '=')
		return;
	for (size_t i = 0; i + 1 < len; i++)
		if (start[i] == '/' &&
		    (start[i + 1] == '/' || start[i + 1] == '*'))
			len = i;
	while (len > 0 && isblank((unsigned char)start[len - 1]))
		len--;
	word->end += len;
	word->text_end = word->end;
	lexer->at = word->end;
}
