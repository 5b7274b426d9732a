#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the character at the beginning of text, which is not empty: returns its
 * length, 0 if it is not UTF-8.  *c is never below 0x80 then.  Any thread.
 */
size_t utf8_read(const unsigned char *text, size_t len, uint32_t *c);

#endif
