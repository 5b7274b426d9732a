#include <string.h>

#include "base/json.h"
#include "unit/suites.h"

#define TEXT(text) text, sizeof(text) - 1

/* What stands for a text in a JSON string. */
static const struct {
	const char *text;
	size_t len;
	const char *json;
} examples[] = {
	{ TEXT(""), "" },
	{ TEXT("plain /' \x7f"), "plain /' \x7f" },
	{ TEXT("\"\\"), "\\\"\\\\" },
	{ TEXT("a\n\0\x1f"), "a\\u000a\\u0000\\u001f" },
	{ TEXT("\u00e9\u20ac\U0010ffff"), "\u00e9\u20ac\U0010ffff" },
	/* Not UTF-8: alone, cut, too long, a surrogate, too high. */
	{ TEXT("\x80\xff"), "\\udc80\\udcff" },
	{ TEXT("x\xe2\x82"), "x\\udce2\\udc82" },
	{ TEXT("\xc0\xaf"), "\\udcc0\\udcaf" },
	{ TEXT("\xed\xa0\x80"), "\\udced\\udca0\\udc80" },
	{ TEXT("\xf4\x90\x80\x80"), "\\udcf4\\udc90\\udc80\\udc80" },
};

START_TEST(each_byte_is_told)
{
	const char *text = examples[_i].text;
	size_t left = examples[_i].len, len = 0;
	char json[64];

	for (;;) {
		size_t plain = json_plain(text, left);
		memcpy(json + len, text, plain);
		len += plain;
		if (plain == left)
			break;
		len += json_escape(text[plain], json + len);
		text += plain + 1;
		left -= plain + 1;
	}
	json[len] = '\0';
	ck_assert_str_eq(json, examples[_i].json);
}
END_TEST

Suite *
json_suite(void)
{
	Suite *suite = suite_create("json");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, each_byte_is_told, 0,
	    sizeof(examples) / sizeof(examples[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
