#ifndef ENDPOINT_H
#define ENDPOINT_H

/*
 * Sockets connected to a port of 127.0.0.1; what fails ends the program.
 *
 * Stream connections come from some hundred loopback addresses in turn, by their
 * number: so no port is ever scarce, whatever waits in TIME_WAIT.
 */
int endpoint_stream(int port, unsigned number);
int endpoint_datagram(int port);

#endif
