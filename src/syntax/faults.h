#ifndef SYNTAX_FAULTS_H
#define SYNTAX_FAULTS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define FAULTS_MAX 100 /* further ones of a file are not shown */

/* What is wrong in a file: from byte number at to end. */
struct fault {
	size_t at, end;
	char *text;
};

/* Where a fault stands that has no column: end is at. */
#define FAULTS_NOWHERE ((size_t)-1) /* in no line either */

/*
 * The faults of a file, to be shown in the order of their places.  The owner
 * sets path, and text, which may be NULL and is freed by faults_free.
 */
struct faults {
	const char *path;
	char *text;
	struct fault list[FAULTS_MAX];
	size_t count; /* also those that are not shown */
};

/* Adds one from at to end.  The text needs no newline. */
void faults_add(struct faults *faults, size_t at, size_t end,
    const char *format, ...) __attribute__((format(printf, 4, 5)));
void faults_vadd(struct faults *faults, size_t at, size_t end,
    const char *format, va_list args) __attribute__((format(printf, 4, 0)));

/* Forgets all but the first count. */
void faults_cut(struct faults *faults, size_t count);

/* The number of the line of byte number at, from 1. */
size_t faults_line(const struct faults *faults, size_t at);

/* Where line number line begins, behind a mark that the file is UTF-8. */
size_t faults_line_start(const struct faults *faults, size_t line);

/*
 * Writes "path:line:column: text" for each; with pictures also the line itself,
 * and what is wrong in it underlined.  Nothing of a file can command a
 * terminal, and long lines are cut.
 */
void faults_print(struct faults *faults, FILE *out, bool pictures);

void faults_free(struct faults *faults);

#endif
