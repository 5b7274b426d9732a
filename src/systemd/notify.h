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

/* The start or a reload has ended; a reload or the stop begins. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* One line for people; systemctl status shows it. */
void notify_status(const char *status);

/* The longest allowed time between two calls of notify_alive; 0: no limit. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
