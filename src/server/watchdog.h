#ifndef SERVER_WATCHDOG_H
#define SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct server;

/*
 * Tells the service manager from time to time that every thread is responsive,
 * and figures for people.  A thread is responsive if it has answered the ping
 * of the last beat.  The main thread calls all functions.
 */
struct watchdog {
	uint64_t period_ms, next_ms; /* UINT64_MAX: no manager to tell */
	bool watched; /* the manager restarts a server that falls silent */
	bool is_live_asked; /* /live is served */
	int missed;         /* beats in a row at which one was not responsive */
	uint64_t status_ms, messages; /* of the last figures */
	char status[128];
};

/* To be called again when server->http changes. */
void watchdog_start(struct server *server);

/* To be called in each round of the main loop; does nothing before next_ms. */
void watchdog_beat(struct server *server);

#endif
