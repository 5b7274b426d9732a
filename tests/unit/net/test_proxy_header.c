#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"
#include "unit/suites.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define TCP4_BYTES "\xc0\0\2\7\xc0\0\2\1\x1f\x90\0\7"
#define TCP6_BYTES                                                             \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"                               \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x1f\x90\0\7"

/* As haproxy 2.6 sends it. */
#define HAPROXY                                                                \
	V2 "\x21\x11\0\x16\x7f\0\0\1\x7f\0\0\1\x8e\x84\xad\x6f"                \
	   "\3\0\4\xfd\x92\x28\x62\5\0\0"
#define HAPROXY_CHECK V2 "\x20\0\0\7\3\0\4\xa9\xb8\x7e\x8f"

struct text {
	const char *bytes;
	size_t len;
};
#define TEXT(literal)                                                          \
	{                                                                      \
		literal, sizeof(literal) - 1                                   \
	}

static struct proxy_header header;

static void
set_up(void)
{
	memset(&header, 0xee, sizeof(header));
}

static enum proxy_header_form
read_exactly(const char *bytes, size_t len)
{
	/* So that the sanitizers see what is read behind the end. */
	char *copy = malloc(len + (len == 0));
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, bytes, len);
	enum proxy_header_form form = proxy_header_read(copy, len, &header);
	free(copy);
	return form;
}

static const struct {
	struct text text;
	const char *client; /* NULL: the connection's own address */
} whole[] = {
	{ TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\r\n"), "192.0.2.7:8080" },
	{ TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    "255.255.255.255:65535" },
	{ TEXT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0" },
	{ TEXT("PROXY TCP6 2001:db8::7 2001:db8::1 8080 7\r\n"),
	    "[2001:db8::7]:8080" },
	{ TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ TEXT("PROXY UNKNOWN\r\n"), NULL },
	{ TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    NULL },
	{ TEXT(V2 "\x21\x11\0\x0c" TCP4_BYTES), "192.0.2.7:8080" },
	{ TEXT(V2 "\x21\x21\0\x24" TCP6_BYTES), "[2001:db8::7]:8080" },
	{ TEXT(V2 "\x21\x11\0\x13" TCP4_BYTES "\4\0\1\0\xe0\0\0"),
	    "192.0.2.7:8080" },
	{ TEXT(HAPROXY), "127.0.0.1:36484" },
	{ TEXT(HAPROXY_CHECK), NULL },
	{ TEXT(V2 "\x20\0\0\0"), NULL },
	{ TEXT(V2 "\x20\x11\0\0"), NULL },
	{ TEXT(V2 "\x20\x11\0\x0c" TCP4_BYTES), NULL },
	{ TEXT(V2 "\x20\x77\0\3abc"), NULL },
	{ TEXT(V2 "\x21\0\0\0"), NULL },
	{ TEXT(V2 "\x21\0\0\x0c" TCP4_BYTES), NULL },
	{ TEXT(V2 "\x21\x10\0\x0c" TCP4_BYTES), NULL },
	/* By UDP to the balancer: the lists hold for this client, too. */
	{ TEXT(V2 "\x21\x12\0\x0c" TCP4_BYTES), "192.0.2.7:8080" },
	{ TEXT(V2 "\x21\x22\0\x24" TCP6_BYTES), "[2001:db8::7]:8080" },
	{ TEXT(V2 "\x21\1\0\0"), NULL },
};

static void
assert_client(const char *expected)
{
	char text[SOCKADDR_TEXT_MAX];

	if (expected == NULL) {
		ck_assert_uint_eq(header.client.len, 0);
		return;
	}
	sockaddr_text(&header.client, false, text, sizeof(text));
	ck_assert_str_eq(text, expected);
}

START_TEST(reads_whole_headers)
{
	struct text text = whole[_i].text;

	ck_assert_int_eq(read_exactly(text.bytes, text.len),
	    PROXY_HEADER_WHOLE);
	ck_assert_uint_eq(header.len, text.len);
	assert_client(whole[_i].client);
}
END_TEST

START_TEST(leaves_the_data_behind_a_header_alone)
{
	struct text text = whole[_i].text;
	char bytes[256];

	memcpy(bytes, text.bytes, text.len);
	strcpy(bytes + text.len, "PROXY data\r\n");
	ck_assert_int_eq(read_exactly(bytes, text.len + 12),
	    PROXY_HEADER_WHOLE);
	ck_assert_uint_eq(header.len, text.len);
	assert_client(whole[_i].client);
}
END_TEST

/* Of a signature there are 6 bytes in version 1, and 12 in version 2. */
START_TEST(awaits_the_rest_at_every_byte)
{
	struct text text = whole[_i].text;
	size_t signature = text.bytes[0] == 'P' ? 6 : 12;

	for (size_t len = 0; len < text.len; len++)
		ck_assert_int_eq(read_exactly(text.bytes, len),
		    len < signature ? PROXY_HEADER_MAYBE : PROXY_HEADER_PART);
	ck_assert_uint_eq(header.len, (size_t)0xeeeeeeeeeeeeeeee);
}
END_TEST

static const struct text data[] = {
	TEXT("hello"),
	TEXT("P\n"),
	TEXT("PROXY\r\n"),
	TEXT("PROXY\tTCP4"),
	TEXT("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
	TEXT("\r\n\r\n\r\n"),
	TEXT("\n"),
	TEXT("\0"),
	TEXT("\r\n\r\n\0\r\nQUIT\r\n"),
	TEXT("\r\n\r\n\0\r\nquit\n\x21\x11\0\0"),
};

/* Decided by the first byte that differs. */
START_TEST(sees_what_only_begins_like_a_header)
{
	ck_assert_int_eq(read_exactly(data[_i].bytes, data[_i].len),
	    PROXY_HEADER_NONE);
}
END_TEST

#define HUNDRED                                                                \
	"01234567890123456789012345678901234567890123456789012345678901234567" \
	"89"                                                                   \
	"012345678901234567890123456789"

static const struct text bad[] = {
	TEXT("PROXY \r\n"),
	TEXT("PROXY TCP4\r\n"),
	TEXT("PROXY TCP5 192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY UDP4 192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY tcp4 192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY UNKNOWNS\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7 9\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7 \r\n"),
	TEXT("PROXY TCP4  192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7\t192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.07 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.256 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 host 8080 7\r\n"),
	TEXT("PROXY TCP4 2001:db8::7 2001:db8::1 8080 7\r\n"),
	TEXT("PROXY TCP6 192.0.2.7 192.0.2.1 8080 7\r\n"),
	TEXT("PROXY TCP6 fe80::1%lo 2001:db8::1 8080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 65536 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 65536\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 08080 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 -1 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 +1 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 4294967297 7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1  7\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\n"),
	TEXT("PROXY \n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\r\r\n"),
	TEXT("PROXY TCP4 192.0.2.7 192.0.2.1 8080 7\0\r\n"),
	TEXT("PROXY UNKNOWN \0\r\n"),
	/* 107 bytes without the end of the line; 108 with it. */
	TEXT("PROXY 7" HUNDRED),
	TEXT("PROXY 7" HUNDRED "\n"),
	TEXT("PROXY UNKNOWN 123" HUNDRED "\r\n"),
	/* The version; the command. */
	TEXT(V2 "\x11\x11\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x31\x11\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x01"),
	TEXT(V2 "\x22\x11\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x2f"),
	/* The family; the transport. */
	TEXT(V2 "\x21\x41\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x21\xf1\0\0"),
	TEXT(V2 "\x21\x13\0\x0c" TCP4_BYTES),
	/* Too short for its addresses; oversize. */
	TEXT(V2 "\x21\x11\0\x0b" TCP4_BYTES),
	TEXT(V2 "\x21\x11\0\0"),
	TEXT(V2 "\x21\x21\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x21\x31\0\x0c" TCP4_BYTES),
	TEXT(V2 "\x21\x11\x0f\xf1"),
	TEXT(V2 "\x20\x00\xff\xff"),
	/* Values cut off; longer than the header. */
	TEXT(V2 "\x21\x11\0\x0d" TCP4_BYTES "\4"),
	TEXT(V2 "\x21\x11\0\x0e" TCP4_BYTES "\4\0"),
	TEXT(V2 "\x21\x11\0\x10" TCP4_BYTES "\4\0\2x"),
	TEXT(V2 "\x21\x11\0\x10" TCP4_BYTES "\4\xff\xffx"),
	/* A checksum of three bytes; a wrong one; two. */
	TEXT(V2 "\x21\x11\0\x12" TCP4_BYTES "\3\0\3abc"),
	TEXT(V2 "\x21\x11\0\x13" TCP4_BYTES "\3\0\4abcd"),
	TEXT(V2 "\x20\0\0\7\3\0\4\xa9\xb8\x7e\x8e"),
	TEXT(V2 "\x20\0\0\x0e\3\0\4\0\0\0\0\3\0\4\0\0\0\0"),
};

START_TEST(refuses_what_is_not_valid)
{
	ck_assert_int_eq(read_exactly(bad[_i].bytes, bad[_i].len),
	    PROXY_HEADER_BAD);
	ck_assert_uint_eq(header.len, (size_t)0xeeeeeeeeeeeeeeee);
}
END_TEST

/* Each bit of the header counts in it. */
START_TEST(a_checksum_finds_every_changed_bit)
{
	char bytes[] = HAPROXY;

	for (size_t i = 16 * 8; i < (sizeof(bytes) - 1) * 8; i++) {
		bytes[i / 8] ^= (char)(1 << i % 8);
		/* Unless it makes another type of the checksum. */
		if (i / 8 < 28 || i / 8 > 30)
			ck_assert_int_eq(read_exactly(bytes, sizeof(bytes) - 1),
			    PROXY_HEADER_BAD);
		bytes[i / 8] ^= (char)(1 << i % 8);
	}
	ck_assert_int_eq(read_exactly(bytes, sizeof(bytes) - 1),
	    PROXY_HEADER_WHOLE);
}
END_TEST

START_TEST(reads_the_path_of_a_unix_client)
{
	char bytes[16 + 216] = V2 "\x21\x31\0\xd8/run/client";

	for (size_t len = 12; len < sizeof(bytes); len++)
		ck_assert_int_eq(read_exactly(bytes, len), PROXY_HEADER_PART);
	ck_assert_int_eq(read_exactly(bytes, sizeof(bytes)),
	    PROXY_HEADER_WHOLE);
	ck_assert_uint_eq(header.len, sizeof(bytes));
	assert_client("/run/client");
	memset(bytes + 16, 'x', 108);
	ck_assert_int_eq(read_exactly(bytes, sizeof(bytes)),
	    PROXY_HEADER_WHOLE);
	ck_assert_int_eq(header.client.un.sun_path[107], 'x');
}
END_TEST

START_TEST(reads_the_longest_header)
{
	static char bytes[PROXY_HEADER_MAX] = V2 "\x21\x11\x0f\xf0" TCP4_BYTES
						 "\4\x0f\xe1";

	ck_assert_int_eq(read_exactly(bytes, sizeof(bytes) - 1),
	    PROXY_HEADER_PART);
	ck_assert_int_eq(read_exactly(bytes, sizeof(bytes)),
	    PROXY_HEADER_WHOLE);
	ck_assert_uint_eq(header.len, PROXY_HEADER_MAX);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *
proxy_header_suite(void)
{
	Suite *suite = suite_create("proxy_header");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_loop_test(tests, reads_whole_headers, 0, COUNT(whole));
	tcase_add_loop_test(tests, leaves_the_data_behind_a_header_alone, 0,
	    COUNT(whole));
	tcase_add_loop_test(tests, awaits_the_rest_at_every_byte, 0,
	    COUNT(whole));
	tcase_add_loop_test(tests, sees_what_only_begins_like_a_header, 0,
	    COUNT(data));
	tcase_add_loop_test(tests, refuses_what_is_not_valid, 0, COUNT(bad));
	tcase_add_test(tests, a_checksum_finds_every_changed_bit);
	tcase_add_test(tests, reads_the_path_of_a_unix_client);
	tcase_add_test(tests, reads_the_longest_header);
	suite_add_tcase(suite, tests);
	return suite;
}
