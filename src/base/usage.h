#ifndef BASE_USAGE_H
#define BASE_USAGE_H

#include <getopt.h>

/*
 * Messages about a command line: one line on stderr, "PROGRAM: what is wrong;
 * PROGRAM -h lists the options".  Both return -1.  The main thread.
 */
int usage_complain(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * What getopt_long(3) refuses; its opterr is 0 and its option string begins
 * with ':'.  result is what it returned, '?' or ':'.
 */
int usage_refuse(const char *program, int result, char *const *argv,
    const struct option *options);

#endif
