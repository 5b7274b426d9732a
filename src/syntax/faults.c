#include "syntax/faults.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <wchar.h>

#include "base/message.h"
#include "base/utf8.h"

#define BEFORE_MAX 48 /* bytes of a line that are shown before a fault */
#define MARKED_MAX 48 /* of the fault itself */
#define BEHIND_MAX 64 /* from there on, and at least this of the line */
#define ESCAPED(n) (4 * (n) + 1)

void
faults_vadd(struct faults *faults, size_t at, size_t end, const char *format,
    va_list args)
{
	char *text;

	if (faults->count++ >= FAULTS_MAX)
		return;
	if (vasprintf(&text, format, args) == -1)
		text = NULL;
	faults->list[faults->count - 1] = (struct fault){ at, end, text };
}

void
faults_add(struct faults *faults, size_t at, size_t end, const char *format,
    ...)
{
	va_list args;

	va_start(args, format);
	faults_vadd(faults, at, end, format, args);
	va_end(args);
}

void
faults_cut(struct faults *faults, size_t count)
{
	for (size_t i = count; i < MIN(faults->count, FAULTS_MAX); i++)
		free(faults->list[i].text);
	faults->count = MIN(faults->count, count);
}

size_t
faults_line(const struct faults *faults, size_t at)
{
	size_t line = 1;

	for (size_t i = 0; i < at; i++)
		line += faults->text[i] == '\n';
	return line;
}

size_t
faults_line_start(const struct faults *faults, size_t line)
{
	const char *at = faults->text;

	if (strncmp(at, "\xef\xbb\xbf", 3) == 0)
		at += 3;
	while (--line > 0 && strchr(at, '\n') != NULL)
		at = strchr(at, '\n') + 1;
	return (size_t)(at - faults->text);
}

/* How many characters of UTF-8 there are in len bytes. */
static size_t
count_characters(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

/*
 * How many columns of a terminal valid UTF-8 takes.  The locale of the program
 * may be C, so this counts in C.UTF-8; without that a character takes one.
 */
static size_t
count_columns(const char *text)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = uselocale(utf8);
	size_t count = 0;

	while (*text != '\0') {
		uint32_t c = (unsigned char)*text;
		size_t len = utf8_read((const unsigned char *)text,
		    strnlen(text, 4), &c);
		int width = wcwidth((wchar_t)c);
		count += width < 0 ? 1 : (size_t)width;
		text += MAX(len, 1);
	}
	uselocale(before);
	if (utf8 != (locale_t)0)
		freelocale(utf8);
	return count;
}

static bool
is_inside(const char *text)
{
	return ((unsigned char)*text & 0xc0) == 0x80;
}

/*
 * Shows len bytes of text, tabs as spaces, and returns how many columns that
 * takes.
 */
static size_t
show(FILE *out, const char *text, size_t len)
{
	char part[BEFORE_MAX + MARKED_MAX + BEHIND_MAX + 1];
	char shown[ESCAPED(sizeof(part))];

	*(char *)mempcpy(part, text, len) = '\0';
	for (char *tab = part; (tab = strchr(tab, '\t')) != NULL;)
		*tab = ' ';
	message_escape(shown, sizeof(shown), part);
	fputs(shown, out);
	size_t len_shown = strlen(shown);
	bool is_ascii = count_characters(shown, len_shown) == len_shown;
	return is_ascii ? len_shown : count_columns(shown);
}

static void
repeat(FILE *out, char c, size_t count)
{
	while (count-- > 0)
		fputc(c, out);
}

/* The line from start to stop, and under it what is wrong. */
static void
draw(FILE *out, const char *text, const struct fault *fault, size_t line)
{
	const char *at = text + fault->at;
	const char *start = at, *stop = at + strcspn(at, "\r\n");
	const char *end = MIN(stop, text + MAX(fault->end, fault->at));

	while (start > text && start[-1] != '\n' && at - start < BEFORE_MAX)
		start--;
	while (start < at && is_inside(start))
		start++;
	bool is_cut = start > text && start[-1] != '\n';
	const char *last = MIN(stop, at + BEHIND_MAX);
	while (last < stop && last > at && is_inside(last))
		last--;
	end = MIN(end, last);
	fprintf(out, "%5zu | %s", line, is_cut ? "..." : "");
	size_t before = show(out, start, (size_t)(at - start));
	size_t marked = show(out, at, (size_t)(end - at));
	show(out, end, (size_t)(last - end));
	fputs(last < stop ? "...\n" : "\n", out);
	if (fault->end <= fault->at)
		return;
	fputs("      | ", out);
	repeat(out, ' ', before + (is_cut ? 3 : 0));
	fputc('^', out);
	repeat(out, '~', marked > 1 ? marked - 1 : 0);
	fputc('\n', out);
}

/* By insertion, which leaves those at one place in their order. */
static void
sort(struct fault *list, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct fault fault = list[i];
		size_t j = i;
		for (; j > 0 && list[j - 1].at > fault.at; j--)
			list[j] = list[j - 1];
		list[j] = fault;
	}
}

static void
print_fault(const struct faults *faults, const struct fault *fault, FILE *out,
    bool with_picture)
{
	const char *text = fault->text != NULL ? fault->text : "out of memory";

	if (fault->at == FAULTS_NOWHERE || faults->text == NULL) {
		message_print(out, "%s\n", text);
		return;
	}
	size_t line = faults_line(faults, fault->at);
	size_t start = faults_line_start(faults, line);
	message_print(out, "%s:%zu:", faults->path, line);
	if (fault->end > fault->at)
		fprintf(out, "%zu:",
		    1 + count_characters(faults->text + start,
			    fault->at - start));
	message_print(out, " %s\n", text);
	if (with_picture)
		draw(out, faults->text, fault, line);
}

void
faults_print(struct faults *faults, FILE *out, bool pictures)
{
	size_t shown = MIN(faults->count, FAULTS_MAX);

	sort(faults->list, shown);
	for (size_t i = 0; i < shown; i++)
		print_fault(faults, &faults->list[i], out, pictures);
	if (faults->count > shown)
		message_print(out, "%s: further errors are not shown\n",
		    faults->path);
}

void
faults_free(struct faults *faults)
{
	faults_cut(faults, 0);
	free(faults->text);
	faults->text = NULL;
}
