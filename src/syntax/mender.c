#include "syntax/mender.h"

#include <stdlib.h>
#include <string.h>

void
mender_begin(struct mender *mender, struct syntax *syntax, const char *text,
    FILE *out)
{
	memset(mender, 0, sizeof(*mender));
	mender->syntax = syntax;
	mender->text = text;
	mender->out = out;
	mender->line = mender->out_line = 1;
	mender->top = mender->frames;
	mender->top->line = 1;
}

size_t
mender_line(struct mender *mender, size_t at)
{
	for (; mender->counted < at; mender->counted++)
		mender->line += mender->text[mender->counted] == '\n';
	return mender->line;
}

/* Goes to the line of what comes next. */
static void
go_to(struct mender *mender, size_t at)
{
	for (size_t line = mender_line(mender, at); mender->out_line < line;
	     mender->out_line++)
		fputc('\n', mender->out);
}

static struct syntax_place *
add_place(struct syntax *syntax)
{
	if (syntax->count == syntax->room) {
		size_t room = syntax->room == 0 ? 64 : 2 * syntax->room;
		struct syntax_place *places = reallocarray(syntax->places, room,
		    sizeof(*places));
		if (places == NULL)
			return NULL;
		syntax->places = places;
		syntax->room = room;
	}
	struct syntax_place *place = &syntax->places[syntax->count++];
	memset(place, 0, sizeof(*place));
	return place;
}

const struct syntax_place *
mender_find(const struct mender *mender, const struct token *name)
{
	const struct syntax_place *place = NULL;
	size_t len = name->text_end - name->text_at;

	for (size_t i = mender->top->last; i > 0; i = place->twin) {
		place = &mender->syntax->places[i - 1];
		if (place->name_end - place->name_at == len &&
		    memcmp(mender->text + place->name_at,
			mender->text + name->text_at, len) == 0)
			return place;
	}
	return NULL;
}

void
mender_member(struct mender *mender, const struct token *name, bool is_left_out)
{
	struct frame *top = mender->top;
	struct syntax_place *place = NULL;

	if (mender->muted == NULL && !is_left_out)
		place = add_place(mender->syntax);
	if (mender->muted == NULL && place == NULL)
		mender->muted = top;
	if (place != NULL && name != NULL) {
		place->name_at = name->text_at;
		place->name_end = name->text_end;
		place->twin = top->last;
		top->last = mender->syntax->count;
		go_to(mender, name->at);
		fprintf(mender->out,
		    " %.*s = ", (int)(name->text_end - name->text_at),
		    mender->text + name->text_at);
	} else if (place != NULL && top->members > 0) {
		fputc(',', mender->out);
	}
	top->members++;
	top->is_separated = false;
}

/* In quotes, as libconfig takes it. */
static void
write_quoted(FILE *out, const char *text, size_t len)
{
	fputc('"', out);
	for (; len > 0; len--, text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/*
 * As it is, but a whole number without zeros in front, which are decimal to
 * libconfig 1.5 and octal to libconfig 1.7.
 */
static void
write_plain(FILE *out, const char *text, size_t len)
{
	size_t sign = *text == '-' || *text == '+', zeros = sign;

	if (strspn(text + sign, "0123456789L") + sign >= len) {
		fwrite(text, 1, sign, out);
		while (zeros + 1 < len && text[zeros] == '0' &&
		       text[zeros + 1] != 'L')
			zeros++;
		text += zeros;
		len -= zeros;
	}
	fwrite(text, 1, len, out);
}

/* Of a text that was written as it is. */
static void
count_lines(struct mender *mender, const struct token *text)
{
	for (size_t i = text->at; i < text->end; i++)
		mender->out_line += mender->text[i] == '\n';
}

/* The place of the member that was begun last. */
static struct syntax_place *
set_value(struct mender *mender, const struct token *value)
{
	struct syntax_place *place = mender->syntax->places +
	                             mender->syntax->count - 1;

	place->value_at = value->at;
	place->value_end = value->end;
	go_to(mender, value->at);
	return place;
}

void
mender_scalar(struct mender *mender, const struct token *value,
    enum mender_value how)
{
	if (mender->muted != NULL) {
		if (mender->muted == mender->top)
			mender->muted = NULL;
		return;
	}
	struct syntax_place *place = set_value(mender, value);
	const char *text = mender->text + value->text_at;
	size_t len = value->text_end - value->text_at;
	place->is_bare = how == MENDER_BARE;
	place->is_refused = how == MENDER_REFUSED;
	if (how != MENDER_PLAIN) {
		write_quoted(mender->out, text,
		    how == MENDER_REFUSED ? 0 : len);
		return;
	}
	write_plain(mender->out, mender->text + value->at,
	    value->end - value->at);
	count_lines(mender, value);
}

void
mender_append(struct mender *mender, const struct token *text)
{
	struct syntax_place *place = mender->syntax->places +
	                             mender->syntax->count - 1;

	place->value_end = text->end;
	if (place->more_at == 0)
		place->more_at = text->at;
	go_to(mender, text->at);
	fwrite(mender->text + text->at, 1, text->end - text->at, mender->out);
	count_lines(mender, text);
}

int
mender_open(struct mender *mender, const struct token *opener, bool is_list)
{
	if (mender->top == mender->frames + SYNTAX_DEPTH_MAX - 1)
		return -1;
	if (mender->muted == NULL) {
		set_value(mender, opener);
		fputc(is_list ? '(' : '{', mender->out);
	}
	*++mender->top = (struct frame){
		.opener = mender->text[opener->at],
		.is_list = is_list,
		.at = opener->at,
		.line = mender_line(mender, opener->at),
	};
	return 0;
}

void
mender_close(struct mender *mender, size_t at)
{
	bool is_list = mender->top->is_list;

	mender->top--;
	if (mender->muted == NULL) {
		go_to(mender, at);
		fputs(is_list ? ")" : "}", mender->out);
	} else if (mender->muted == mender->top) {
		mender->muted = NULL;
	}
}
