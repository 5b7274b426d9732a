#ifndef SYSTEMD_NOTIFY_H
#define SYSTEMD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Messages to the service manager; without one the functions do nothing.  The
 * main thread calls them.
 */

/* Whether there is a service manager. */
bool notify_is_heard(void);

/* The start or a reload has ended; the stop begins; all threads respond. */
#define NOTIFY_READY "READY=1"
#define NOTIFY_STOPPING "STOPPING=1"
#define NOTIFY_ALIVE "WATCHDOG=1"
void notify_send(const char *message);

/* A reload begins. */
void notify_reloading(void);

/* The stop may take so long from now on, even beyond TimeoutStopSec=. */
void notify_extend(int seconds);

/* One line for people; systemctl status shows it. */
void notify_status(const char *status);

/* The longest allowed time from one NOTIFY_ALIVE to the next; 0: no limit. */
uint64_t notify_watchdog_ms(void);

#endif
