#ifndef PING_TIMESTAMPING_H
#define PING_TIMESTAMPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The times at which the kernel sends and receives (SO_TIMESTAMPING): when a
 * packet is passed to the driver of the network device, and when it comes from
 * there.  CLOCK_REALTIME in ns.
 */

/*
 * Has the kernel tell the times of a connected TCP or UDP socket from now on.
 * What is sent has a key: for UDP the number of the call, from 0; for TCP the
 * number of the last byte, from 0.  -1 with errno: it can't.
 */
int timestamping_enable(int fd);

/* Has the keys begin at 0 again.  -1 with errno: it can't. */
int timestamping_restart(int fd);

/*
 * The next time of something that was sent, 0 for an event of another kind;
 * false if there is none yet.  Of several packets of one call it is that of the
 * last.
 */
bool timestamping_sent(int fd, uint32_t *key, int64_t *sent_ns);

/* As recv(2) with MSG_DONTWAIT.  *received_ns is 0 if the kernel tells none. */
ssize_t timestamping_receive(int fd, char *buffer, size_t size,
    int64_t *received_ns);

#endif
