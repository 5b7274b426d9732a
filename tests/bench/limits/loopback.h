#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <stdnoreturn.h>

/*
 * Returns a socket at a free port of 127.0.0.1, SOCK_STREAM (listening) or
 * SOCK_DGRAM, and announces the port as timestampd does: "listening on tcp
 * 127.0.0.1:N".  A failure ends the program.
 */
int loopback_open(int type);

/*
 * Accepts TCP clients for ever, with these flags of accept4, and calls serve for
 * each that can be read.  serve closes fd at the end of its data.
 */
noreturn void loopback_serve(void (*serve)(int fd), int flags);

#endif
