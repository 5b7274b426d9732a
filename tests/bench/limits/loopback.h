#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <stdnoreturn.h>

/*
 * A socket at a free port of 127.0.0.1, SOCK_STREAM (listening) or SOCK_DGRAM;
 * announces the port as timestampd does, "listening on tcp 127.0.0.1:N".
 * Failures end the program.
 */
int loopback_open(int type);

/*
 * Accepts TCP clients with these flags of accept4 and calls serve for each that
 * can be read, for ever.  serve closes fd at the end.
 */
noreturn void loopback_serve(void (*serve)(int fd), int flags);

#endif
