#ifndef SYSTEMD_NOTIFY_H
#define SYSTEMD_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What the service manager is told.  All do nothing in a process that it did
 * not start.  The main thread only.
 */

/* Whether there is a service manager that listens. */
bool notify_is_heard(void);

/* All is up, after the start or a reload. */
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/* One line for people, as systemctl status shows it. */
void notify_status(const char *status);

/* The longest time between two calls of notify_alive; 0: none are wanted. */
uint64_t notify_watchdog_ms(void);
void notify_alive(void);

#endif
