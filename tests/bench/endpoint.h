#ifndef ENDPOINT_H
#define ENDPOINT_H

/*
 * Sockets connected to a port of 127.0.0.1; a failure ends the program.
 *
 * The number of a stream connection selects one of 256 loopback addresses, so
 * TIME_WAIT never uses up the ports.
 */
int endpoint_stream(int port, unsigned number);
int endpoint_datagram(int port);

#endif
