#include "base/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

#define TEXT_MAX 8192 /* of a message; more is cut */
#define ESCAPE_LEN 4  /* of "\xff" */

/* Whether c, above ASCII, is a control character or turns the text around. */
static bool
is_control(uint32_t c)
{
	return c < 0xa0 || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The length of the UTF-8 character at text; 0: it may not be shown. */
static size_t
shown_len(const unsigned char *text)
{
	uint32_t c;
	size_t len = utf8_read(text, strnlen((const char *)text, 4), &c);

	if (c < 0x80)
		return c >= ' ' && c != 0x7f ? 1 : 0;
	return len > 0 && !is_control(c) ? len : 0;
}

static void
escape(char *out, size_t size, const char *text, bool is_ascii)
{
	const char *last = out + size - 1;

	while (*text != '\0') {
		size_t len = shown_len((const unsigned char *)text);
		if (is_ascii && len > 1)
			len = 0;
		if ((size_t)(last - out) < (len > 0 ? len : ESCAPE_LEN))
			break;
		if (len > 0)
			out = mempcpy(out, text, len);
		else
			out += sprintf(out, "\\x%02x", (unsigned char)*text);
		text += len > 0 ? len : 1;
	}
	*out = '\0';
}

void
message_escape(char *out, size_t size, const char *text)
{
	escape(out, size, text, false);
}

void
message_escape_ascii(char *out, size_t size, const char *text)
{
	escape(out, size, text, true);
}

void
message_vprint(FILE *out, const char *format, va_list args)
{
	char text[TEXT_MAX], shown[ESCAPE_LEN * TEXT_MAX];
	size_t format_len = strlen(format);
	bool ends_line = format_len > 0 && format[format_len - 1] == '\n';
	int len = vsnprintf(text, sizeof(text), format, args);

	if (len < 0)
		text[0] = '\0';
	else if (len >= (int)sizeof(text))
		strcpy(text + sizeof(text) - sizeof("..."), "...");
	else if (ends_line && len > 0)
		text[len - 1] = '\0';
	message_escape(shown, sizeof(shown), text);
	/* At once: standard error has no buffer. */
	fputs(ends_line ? strcat(shown, "\n") : shown, out);
}

void
message_print(FILE *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	message_vprint(out, format, args);
	va_end(args);
}
