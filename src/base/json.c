#include "base/json.h"

#include <stdio.h>

#include "base/utf8.h"

size_t
json_plain(const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t at = 0;
	uint32_t c;

	while (at < len && bytes[at] >= ' ' && bytes[at] != '"' &&
	       bytes[at] != '\\') {
		size_t n = utf8_read(bytes + at, len - at, &c);
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

size_t
json_escape(char byte, char escape[JSON_ESCAPE_MAX])
{
	unsigned char c = (unsigned char)byte;
	int n = c == '"' || c == '\\'
	          ? snprintf(escape, JSON_ESCAPE_MAX, "\\%c", c)
	          : snprintf(escape, JSON_ESCAPE_MAX, "\\u%04x",
			c < 0x80 ? c : 0xdc00U + c);

	return (size_t)n;
}
