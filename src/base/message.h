#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Messages for a terminal or a log may name files, hosts and settings whose
 * text is not ours.  A byte of it that could command a terminal, begin another
 * line or hide what follows is shown as \xNN: control characters, also those of
 * Unicode, and whatever is not UTF-8.  Every function may be called from any
 * thread.
 */

/* Writes text so to out of size bytes; cuts what does not fit. */
void message_escape(char *out, size_t size, const char *text);

/*
 * The same where characters above ASCII cannot be shown: a byte of one could
 * command the terminal.
 */
void message_escape_ascii(char *out, size_t size, const char *text);

/* As fprintf, and escapes everything but a newline at the end of format. */
void message_print(FILE *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void message_vprint(FILE *out, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

#endif
