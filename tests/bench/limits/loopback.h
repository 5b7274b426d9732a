#ifndef LOOPBACK_H
#define LOOPBACK_H

/*
 * A socket at a free port of 127.0.0.1, of SOCK_STREAM and listening or of
 * SOCK_DGRAM; says where as timestampd does, "listening on tcp 127.0.0.1:N".
 * What fails ends the program.
 */
int loopback_open(int type);

#endif
