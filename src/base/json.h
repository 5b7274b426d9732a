#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stddef.h>

#define JSON_ESCAPE_MAX sizeof("\\udcff")

/*
 * The text of a JSON string.  A byte that is not UTF-8 becomes a lone
 * surrogate, \udc80 to \udcff, so that none is lost.  Any thread.
 */

/* How many bytes at the beginning of text stand for themselves. */
size_t json_plain(const char *text, size_t len);

/* What stands for a byte that does not; returns the length. */
size_t json_escape(char byte, char escape[JSON_ESCAPE_MAX]);

#endif
