#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syntax/syntax.h"
#include "unit/suites.h"
#include "unit/syntax/reasons.h"

#define TEXTS 2000
#define EDITS_MAX 3   /* of a text that libconfig may then refuse */
#define STEPS_MAX 40  /* tokens that begin or end a member */
#define PIECES_MAX 5  /* of a text in quotes */
#define DEPTH_MAX 6   /* groups and lists in each other */
#define ANY_KIND (-1) /* of the members of a list */

#define PICK(table) (table)[choose(sizeof(table) / sizeof((table)[0]))]

/* A text that libconfig takes, made at random. */
struct maker {
	FILE *out;
	char closers[DEPTH_MAX]; /* of what is open */
	int kinds[DEPTH_MAX];    /* of the members of an array */
	int members[DEPTH_MAX];
	int depth;
	int names;
};

static unsigned seed;

/* libconfig leaks the strings of a text that it refuses. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static size_t
choose(size_t count)
{
	return (size_t)rand_r(&seed) % count;
}

static void
make_blank(FILE *out, int is_needed)
{
	static const char *const blanks[] = { " ", "\t", "\n", "\r\n", "\f",
		" # } \" = /* \n", "// { ( [ \" @include \"x\"\n",
		"/* a = \" */", "/**/", "/* # \n // \n \" */", "\n ", "#\n" };

	if (is_needed)
		fputc(' ', out);
	for (size_t count = choose(4); count == 1; count = choose(3))
		fputs(PICK(blanks), out);
}

static void
make_text(FILE *out)
{
	static const char *const pieces[] = { "x", "y z",
		"; a = ", ", b: ", ";c=", "\\\"", "\\\\", "\\n", "\\x41",
		"\\Xe4", "\\q", "\\t", "#", "//", "/*", "*/", "@include ", "{",
		"(", "]", ")", "'", "\xc3\xa4", "\xc2\xa0", "\xe2\x80\x9c",
		"\x1b", "\xff", "\t", "=", ":", "%H:%M:%S" };

	fputc('"', out);
	for (size_t count = choose(PIECES_MAX); count > 0; count--)
		fputs(PICK(pieces), out);
	fputc('"', out);
}

/* Of an array all members have the same kind. */
static void
make_scalar(FILE *out, int kind)
{
	static const char *const numbers[] = { "0", "-5", "+5", "007", "-0",
		"2147483647", "-2147483647", "0x7fffFFFF", "0X0", "1234567" };
	static const char *const longs[] = { "0L", "-7LL", "+007L", "0x5L",
		"9223372036854775807L", "0xFfLL", "4294967297L" };
	static const char *const floats[] = { "1.", "-.5", "+1e3", "1.5E-2",
		"007.5", "1.e5", ".5e+1", "0e0" };
	static const char *const flags[] = { "true", "TRUE", "True", "fAlse",
		"false" };

	switch (kind) {
	case 0:
		fputs(PICK(numbers), out);
		break;
	case 1:
		fputs(PICK(longs), out);
		break;
	case 2:
		fputs(PICK(floats), out);
		break;
	case 3:
		fputs(PICK(flags), out);
		break;
	default:
		make_text(out);
		break;
	}
}

static void
make_name(struct maker *maker)
{
	static const char *const names[] = { "a", "A-b_c", "*", "true", "L",
		"e5", "x*-_", "include", "z9" };

	if (choose(50) == 0)
		for (int i = 0; i < 300; i++)
			fputs("long", maker->out);
	fprintf(maker->out, "%s_%d", PICK(names), maker->names++);
	make_blank(maker->out, 0);
	fputc("=:"[choose(2)], maker -> out);
	make_blank(maker->out, 0);
}

/* What ends a member of a group, which may be nothing. */
static void
make_end(struct maker *maker)
{
	size_t kind = choose(3);

	make_blank(maker->out, kind == 2);
	if (kind < 2)
		fputc(";,"[kind], maker -> out);
	make_blank(maker->out, 0);
}

static void
make_close(struct maker *maker)
{
	maker->depth--;
	fputc(maker->closers[maker->depth], maker->out);
	if (maker->depth == 0 || maker->closers[maker->depth - 1] == '}')
		make_end(maker);
}

static void
make_open(struct maker *maker)
{
	size_t kind = choose(3);

	fputc("{(["[kind], maker -> out);
	make_blank(maker->out, 0);
	maker->closers[maker->depth] = "})]"[kind];
	maker->kinds[maker->depth] = kind == 2 ? (int)choose(5) : ANY_KIND;
	maker->members[maker->depth] = 0;
	maker->depth++;
}

/* A member of what is open, or its beginning. */
static void
make_member(struct maker *maker)
{
	int top = maker->depth - 1;
	int is_group = top < 0 || maker->closers[top] == '}';
	int kind = top < 0 ? ANY_KIND : maker->kinds[top];

	if (is_group) {
		make_name(maker);
	} else if (maker->members[top]++ > 0) {
		fputc(',', maker->out);
		make_blank(maker->out, 0);
	}
	if (kind == ANY_KIND && maker->depth < DEPTH_MAX && choose(3) == 0) {
		make_open(maker);
		return;
	}
	kind = kind == ANY_KIND ? (int)choose(6) : kind;
	make_scalar(maker->out, kind);
	for (; is_group && kind >= 4 && choose(3) == 0;) {
		make_blank(maker->out, 0);
		make_text(maker->out);
	}
	if (is_group)
		make_end(maker);
	else
		make_blank(maker->out, 0);
}

static char *
make(unsigned number)
{
	char *text;
	size_t len;
	struct maker maker = { .out = open_memstream(&text, &len) };

	seed = number;
	make_blank(maker.out, 0);
	for (size_t steps = choose(STEPS_MAX); steps > 0; steps--)
		if (maker.depth > 0 && choose(4) == 0)
			make_close(&maker);
		else
			make_member(&maker);
	while (maker.depth > 0)
		make_close(&maker);
	/* The last line of libconfig 1.5 needs an end. */
	fputc('\n', maker.out);
	fclose(maker.out);
	return text;
}

/* What libconfig understands of text, with arrays as lists. */
static char *
understand(const char *text, const char *original)
{
	config_t tree;
	char *shown, quote = '\0';
	size_t len;
	FILE *out = open_memstream(&shown, &len);

	config_init(&tree);
	ck_assert_msg(config_read_string(&tree, text),
	    "line %d: %s\n%s\nof\n%s", config_error_line(&tree),
	    config_error_text(&tree), text, original);
	config_write(&tree, out);
	fclose(out);
	config_destroy(&tree);
	for (char *at = shown; *at != '\0'; at++)
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if (*at == '"')
			quote = quote != '\0' ? '\0' : '"';
		else if (quote == '\0' && (*at == '[' || *at == ']'))
			*at = *at == '[' ? '(' : ')';
	return shown;
}

START_TEST(libconfig_understands_the_same)
{
	for (unsigned i = 0; i < TEXTS; i++) {
		struct syntax syntax = { 0 };
		struct faults faults = { .path = "f", .text = make(i) };
		ck_assert_int_eq(syntax_read(&syntax, &faults), 0);
		ck_assert_msg(faults.count == 0, "%zu: %s\nin:\n%s",
		    faults.list[0].at, faults.list[0].text, faults.text);
		char *direct = understand(faults.text, faults.text);
		char *mended = understand(syntax.mended, faults.text);
		ck_assert_msg(strcmp(direct, mended) == 0,
		    "%s\nand not\n%s\nof\n%s", mended, direct, faults.text);
		free(direct);
		free(mended);
		syntax_free(&syntax);
		faults_free(&faults);
	}
}
END_TEST

/* Replaces, removes and inserts some bytes, at random. */
static char *
edit(char *text)
{
	static const char *const pieces[] = { "", "", "\"", "\"", "\n", "\\",
		" \"x\" \"y\" ", ",", ";", "=", "{", "}", "(", ")", "[", "]",
		"/*", "*/", "//", "#", " a", " 1 ", " . ", " true ",
		" b = ", "((((((((((1))))))))))", "'", "\r\n", "\t", "\xff" };
	char *edited = NULL;

	for (size_t count = 1 + choose(EDITS_MAX); count > 0; count--) {
		size_t at = choose(strlen(text));
		size_t left_out = choose(2);
		ck_assert_int_ne(asprintf(&edited, "%.*s%s%s", (int)at, text,
				     PICK(pieces), text + at + left_out),
		    -1);
		free(text);
		text = edited;
		if (*text == '\0')
			break;
	}
	return text;
}

START_TEST(libconfig_takes_nothing_that_is_refused)
{
	int taken = 0;

	for (unsigned i = 0; i < TEXTS; i++) {
		struct syntax syntax = { 0 };
		struct faults faults = { .path = "f", .text = edit(make(i)) };
		syntax_read(&syntax, &faults);
		if (is_taken(faults.text)) {
			bool is_wrong = is_refused_without_reason(&syntax,
			    &faults);
			ck_assert_msg(!is_wrong, "%s\nin:\n%s",
			    faults.count > 0 ? faults.list[0].text : "a word",
			    faults.text);
			taken++;
		}
		syntax_free(&syntax);
		faults_free(&faults);
	}
	/* Neither all nor none. */
	ck_assert_int_gt(taken, TEXTS / 10);
	ck_assert_int_lt(taken, TEXTS);
}
END_TEST

Suite *
mender_suite(void)
{
	Suite *suite = suite_create("mender");
	TCase *tests = tcase_create("all");

	tcase_add_test(tests, libconfig_understands_the_same);
	tcase_add_test(tests, libconfig_takes_nothing_that_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
