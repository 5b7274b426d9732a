#ifndef ARRIVAL_H
#define ARRIVAL_H

#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>

/*
 * When the kernel received data, by CLOCK_REALTIME: of datagrams, records and
 * TCP; of a Unix stream it doesn't tell.  Any thread.
 */

/* Room for it in control data. */
#define ARRIVAL_SPACE CMSG_SPACE(sizeof(struct timespec))

/*
 * Has the kernel note and tell it, or no more.  Connections inherit it from a
 * TCP listener.  -1 with errno.
 */
int arrival_set(int fd, bool on);

/* Whether control tells it. */
bool arrival_read(const struct cmsghdr *control, struct timespec *arrived);

#endif
