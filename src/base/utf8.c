#include "base/utf8.h"

size_t
utf8_read(const unsigned char *text, size_t len, uint32_t *c)
{
	static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t need = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

	*c = text[0];
	if (text[0] < 0x80)
		return 1;
	if (text[0] < 0xc0 || text[0] > 0xf4 || need > len)
		return 0;
	uint32_t read = text[0] & 0x7fU >> need;
	for (size_t i = 1; i < need; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		read = read << 6 | (text[i] & 0x3fU);
	}
	if (read < first[need] || read > 0x10ffff ||
	    (read >= 0xd800 && read <= 0xdfff))
		return 0;
	*c = read;
	return need;
}
