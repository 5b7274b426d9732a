#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/daemon.h"
#include "syntax/syntax.h"
#include "unit/suites.h"

/* Bytes, as large as a file may be; libconfig's lists take their time to grow
 * where memory is instrumented. */
#define LARGE (daemon_is_bare() ? 1U << 20 : 1U << 14)

static struct syntax syntax;
static struct faults faults;
static char *shown;
static int rc;

static void
leave(void)
{
	syntax_free(&syntax);
	faults_free(&faults);
	free(shown);
	shown = NULL;
}

/* Reads text, and prints the faults of it. */
static void
read_text(const char *text, bool with_pictures)
{
	size_t len;

	leave();
	faults = (struct faults){ .path = "f", .text = strdup(text) };
	rc = syntax_read(&syntax, &faults);
	FILE *out = open_memstream(&shown, &len);
	faults_print(&faults, out, with_pictures);
	fclose(out);
}

/* Whatever was wrong, libconfig takes the rest. */
static void
assert_mended(void)
{
	config_t parsed;

	ck_assert_int_eq(rc, 0);
	config_init(&parsed);
	ck_assert_msg(config_read_string(&parsed, syntax.mended), "%s in:\n%s",
	    config_error_text(&parsed), syntax.mended);
	config_destroy(&parsed);
}

static const struct {
	const char *text, *mended;
} good[] = {
	{ "", "" },
	{ "\xef\xbb\xbf"
	  "a = 1;",
	    " a = 1" },
	{ "a = 1;\nb: \"x\";\r\n\n  c = true",
	    " a = 1\n b = \"x\"\n\n c = true" },
	{ "a=1 b=2,c=3;", " a = 1 b = 2 c = 3" },
	{ "a = \"x\" \"y\";", " a = \"x\"\"y\"" },
	{ "a = \"x\"\n\"y\"\nb = 1;", " a = \"x\"\n\"y\"\n b = 1" },
	{ "a = {};b:()c=[]", " a = {} b = () c = ()" },
	{ "a = ( 1, 2, );", " a = (1,2)" },
	{ "a = [ \"x\", \"\\\"y\" ];", " a = (\"x\",\"\\\"y\")" },
	{ "a = ( { b = 1; }, { b: 2 } );", " a = ({ b = 1},{ b = 2})" },
	{ "# a\n// b = ;\n/* c\n[ */ d = 1; # }", "\n\n\n d = 1" },
	{ "a = \"# \\\\ // /* @include\";", " a = \"# \\\\ // /* @include\"" },
	{ "*a-b_ = 0x5; x = 0x5L; y = -7LL; z = .5e-1; w = 1.;", NULL },
	{ "a = -5; b = +5; c = 0x7fffffff; d = 007; e = 1.5e300;", NULL },
	{ "a = 2147483647; b = 9223372036854775807L; c = 0xFFL;", NULL },
	{ "a = 010; b = -08L; c = 00; d = +0L; e = 0x010; f = 01.5;",
	    " a = 10 b = -8L c = 0 d = +0L e = 0x010 f = 01.5" },
	{ "a: { b = 1\n; }\n; c = ({ d = 1\n; })\n;",
	    " a = { b = 1\n}\n c = ({ d = 1\n})" },
	{ "a = \"x, b: \"; c = \"; d = \" /**/ \"y\"",
	    " a = \"x, b: \" c = \"; d = \"\"y\"" },
	{ "a\n=\n1\n;\nb = 2;", " a = \n\n1\n\n b = 2" },
	/* Texts over several lines, and texts that follow each other. */
	{ "a = \"x\n\ny\"; b = 1;\nc = 2;", " a = \"x\n\ny\" b = 1\n c = 2" },
	{ "a = \"x\r\ny\\\nz\" \"\n\"\n\"w\"; b = 1;",
	    " a = \"x\r\ny\\\nz\"\"\n\"\n\"w\" b = 1" },
	{ "a = ( \"x\" \"y\", \"z\"\n\"\" ); b = [ \"x\"\"y\" ];",
	    " a = (\"x\"\"y\",\"z\"\n\"\") b = (\"x\"\"y\")" },
	{ "a = \"x; b = \"; c = \"y\";", " a = \"x; b = \" c = \"y\"" },
	{ "a = \"x; b = \"c = 1;", " a = \"x; b = \" c = 1" },
	{ "a=((((((((((1))))))))));", " a = ((((((((((1))))))))))" },
};

START_TEST(what_is_right_stays)
{
	read_text(good[_i].text, true);
	ck_assert_str_eq(shown, "");
	assert_mended();
	if (good[_i].mended != NULL)
		ck_assert_str_eq(syntax.mended, good[_i].mended);
}
END_TEST

#define EIGHT "(((((((("
#define DEEP EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT "((((((("

/* The line and column of each fault, and a part of what is said. */
static const struct {
	const char *text, *shown;
} bad[] = {
	{ "a = 4294967297; b = 0xffffffff;",
	    "f:1:5: the number 4294967297 is out of range\n"
	    "f:1:21: the number 0xffffffff is out of range\n" },
	{ "a = 9223372036854775808L; b = -99999999999;",
	    "f:1:5: the number 9223372036854775808 is out of range\n"
	    "f:1:31: the number -99999999999 is out of range\n" },
	{ "\n/* x\n*/ @include \"y\"\n \t@include\n",
	    "f:3:4: @include is not supported: put the settings into this "
	    "file\n"
	    "f:4:3: @include is not supported: put the settings into this "
	    "file\n" },
	{ "\xc3\xa4\xc3\xb6 = 1; b = 'x';",
	    "f:1:1: this cannot be a name, which begins with a letter and has "
	    "letters, digits, - and _\n"
	    "f:1:13: text needs straight double quotes: \"x\"\n" },
	{ "a = { b = 1; }; }; c = (;",
	    "f:1:17: nothing is open that this } could close\n"
	    "f:1:24: this ( is not closed: its ) is missing\n"
	    "f:1:25: the members of a list are separated by commas, not by "
	    "semicolons\n" },
	{ "a = \"\n", "f:1:5: the closing quote of this text is missing\n" },
	{ "a = \"x\\", "f:1:5: the closing quote of this text is missing\n" },
	{ "a = 'x", "f:1:5: text needs straight double quotes: \"x\"\n" },
	{ "/*", "f:1:1: this comment does not end: its */ is missing\n" },
	{ "a = " DEEP "( ) )",
	    "f:1:68: nested too deeply: at most 63 groups and lists may be in "
	    "each other\n" },
	/* What libconfig would not take is not over several lines. */
	{ "a = \"x;\nb = \"y\";\n",
	    "f:1:5: the closing quote of this text is missing\n" },
	{ "a = \"x;\nb = \"y;\n",
	    "f:1:5: the closing quote of this text is missing\n"
	    "f:2:5: the closing quote of this text is missing\n" },
	{ "a = \"x\"; a = \"y\" \"z\";",
	    "f:1:10: a is set twice: the first time in line 1\n" },
	{ "a: { b: { c = 1;\n\nd: { e = 1; };\nf = 1;\n",
	    "f:3:1: a } is missing before this: the { of line 1 is still "
	    "open\n"
	    "f:3:1: a } is missing before this: the { of line 1 is still "
	    "open\n" },
};

START_TEST(what_is_wrong_is_said)
{
	read_text(bad[_i].text, false);
	ck_assert_str_eq(shown, bad[_i].shown);
	if (strstr(shown, "too deeply") == NULL)
		assert_mended();
}
END_TEST

/* count times text, behind start. */
static char *
repeat(const char *start, const char *text, size_t count)
{
	size_t len = strlen(text), start_len = strlen(start);
	char *result = malloc(start_len + count * len + 1);

	memcpy(result, start, start_len);
	for (size_t i = 0; i < count; i++)
		memcpy(result + start_len + i * len, text, len);
	result[start_len + count * len] = '\0';
	return result;
}

/* Each is repeated until it is LARGE. */
static const char *const hostile[][2] = {
	{ "", "{" },
	{ "", "a=(" },
	{ "", "a={" },
	{ "a=", "(" },
	{ "", "}" },
	{ "", ";" },
	{ "a=(", "," },
	{ "a=(", "1," },
	{ "a=(", "1 " },
	{ "", "=" },
	{ "a=", "\"\" " },
	{ "a=", "\"" },
	{ "a", "\\" },
	{ "", "a=1;" },
	{ "", "a\n" },
	{ "", "a 1\n" },
	{ "", "/" },
	{ "", "/*" },
	{ "", "/**/" },
	{ "", "\xff" },
	{ "", "\xe2\x80\x9c" },
	{ "", "'" },
	{ "", "\x1b[31m" },
	{ "", "\t" },
	{ "", "\xc2\xa0" },
	{ "", "a={\n" },
	{ "", "\na={" },
	{ "a=", "x" },
	{ "", "x" },
	{ "", "x." },
	{ "", "[x]\n" },
	{ "a=", "9" },
	{ "", "a:\n" },
	{ "b={a={", "\na=1;" },
};

START_TEST(hostile_texts_are_refused_soon)
{
	const char *start = hostile[_i][0], *text = hostile[_i][1];
	char *large = repeat(start, text,
	    (LARGE - strlen(start)) / strlen(text));

	read_text(large, true);
	free(large);
	/* Some are right, or need quotes, which the syntax leaves open. */
	ck_assert(faults.count > 0 || strpbrk(text, "\t/1,\"x") != NULL);
	/* A terminal gets text alone, and not much of it. */
	ck_assert_uint_lt(strlen(shown), 100000);
	for (const char *at = shown; *at != '\0'; at++)
		ck_assert((*at >= ' ' && *at != 0x7f) || *at == '\n' ||
			  (*at & 0x80) != 0);
	if (rc == 0)
		assert_mended();
}
END_TEST

START_TEST(a_picture_shows_the_fault)
{
	read_text("a = 1;\n\tb = 'x'; c = 1\n", true);
	ck_assert_str_eq(shown,
	    "f:2:6: text needs straight double quotes: \"x\"\n"
	    "    2 |  b = 'x'; c = 1\n"
	    "      |      ^~~\n");
	/* Characters count, not bytes; what can't be shown has more. */
	read_text("\xc3\xa4 = \x1b\xff 'x';", true);
	ck_assert_ptr_nonnull(
	    strstr(shown, "    1 | \xc3\xa4 = \\x1b\\xff 'x';\n"));
}
END_TEST

/* What stands before the fault: as many columns are before the caret. */
static const struct {
	const char *text, *columns;
} widths[] = {
	{ "/*abc*/", "       " }, { "\t\t", "  " },     /* shown as spaces */
	{ "/*\t\xc3\xa4*/", "      " },                 /* precomposed */
	{ "/*a\xcc\x88*/", "     " },                   /* a, and two dots */
	{ "/*\xe6\x97\xa5\xe6\x9c\xac*/", "        " }, /* Chinese */
	{ "/*\xef\xbc\xa1*/", "      " },               /* a wide A */
	{ "/*\xf0\x9f\x98\x80*/", "      " },           /* a face */
	{ "/*\xe2\x80\x8b*/", "    " },                 /* no width */
	{ "/*\xee\x80\x80*/", "     " },                /* private */
	{ "/*\xff*/", "        " },                     /* as four characters */
};

START_TEST(a_caret_stands_below_the_fault)
{
	char *text, *expected;

	ck_assert_int_ne(asprintf(&text, "%s= 1;", widths[_i].text), -1);
	ck_assert_int_ne(asprintf(&expected, "\n      | %s^\n",
			     widths[_i].columns),
	    -1);
	read_text(text, true);
	ck_assert_msg(strstr(shown, expected) != NULL, "%s", shown);
	free(expected);
	free(text);
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char *text = repeat("", "\xc3\xa4", 400);
	char *line = repeat(text, " ", 1);
	char *all = repeat(line, "; a = 'x'", 200);

	read_text(all, true);
	ck_assert_uint_eq(faults.count, FAULTS_MAX);
	for (char *at = strtok(shown, "\n"); at; at = strtok(NULL, "\n"))
		ck_assert_uint_lt(strlen(at), 200);
	free(all);
	free(line);
	free(text);
}
END_TEST

START_TEST(places_are_those_of_the_text)
{
	read_text("a: {\n b = \"x\";\n};\nc = ( 1, tcp );\n", false);
	assert_mended();
	ck_assert_uint_eq(syntax.count, 5);
	ck_assert_uint_eq(syntax.places[0].name_at, 0);
	ck_assert_uint_eq(syntax.places[0].value_at, 3);
	ck_assert_uint_eq(syntax.places[1].name_at, 6);
	ck_assert_uint_eq(syntax.places[1].value_at, 10);
	ck_assert_uint_eq(syntax.places[1].value_end, 13);
	ck_assert_uint_eq(syntax.places[2].name_at, 18);
	ck_assert_uint_eq(syntax.places[3].value_at, 24);
	ck_assert_uint_eq(syntax.places[4].value_at, 27);
	ck_assert(syntax.places[4].is_bare && !syntax.places[3].is_bare);
	read_text("a = ( \"x\" \"y\", \"z\" );", false);
	ck_assert_uint_eq(syntax.places[1].value_at, 6);
	ck_assert_uint_eq(syntax.places[1].value_end, 13);
	ck_assert_uint_eq(syntax.places[1].more_at, 10);
	ck_assert_uint_eq(syntax.places[2].more_at, 0);
}
END_TEST

Suite *
syntax_suite(void)
{
	Suite *suite = suite_create("syntax");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, NULL, leave);
	tcase_add_loop_test(tests, what_is_right_stays, 0,
	    sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tests, what_is_wrong_is_said, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_loop_test(tests, hostile_texts_are_refused_soon, 0,
	    sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_test(tests, a_picture_shows_the_fault);
	tcase_add_loop_test(tests, a_caret_stands_below_the_fault, 0,
	    sizeof(widths) / sizeof(widths[0]));
	tcase_add_test(tests, a_long_line_is_cut);
	tcase_add_test(tests, places_are_those_of_the_text);
	suite_add_tcase(suite, tests);
	return suite;
}
