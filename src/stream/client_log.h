#ifndef STREAM_CLIENT_LOG_H
#define STREAM_CLIENT_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/sockaddr.h"
#include "stream/conn.h"

/*
 * Lines about connections: all at level debug, and with log_connections at
 * level info, at most so many a second.  A connection is named when its line
 * is due, so without lines it costs nothing.  The worker owns it.
 */
struct client_log {
	bool is_on;                    /* log_connections */
	unsigned max;                  /* lines a second at level info */
	unsigned lines;                /* in this second */
	unsigned left_out;             /* lines in this second */
	uint64_t second_ms;            /* when it began */
	_Atomic uint64_t *last_number; /* of a connection, of all workers */
};

/*
 * Off, for one of so many workers, which share the lines of a second and
 * last_number.
 */
void client_log_init(struct client_log *log, int workers,
    _Atomic uint64_t *last_number);

/*
 * Names conn and says that it is open, when its client is known.  Once; the
 * next call does nothing.
 */
void client_log_open(struct client_log *log, struct conn *conn,
    uint64_t now_ms);

/*
 * Says why conn ends, and what it had, if it is named; it is not after that.
 * log may be NULL: at level debug.
 */
void client_log_close(struct client_log *log, struct conn *conn,
    enum close_reason reason, uint64_t now_ms);
void client_log_hand_over(struct client_log *log, struct conn *conn,
    uint64_t now_ms);

/*
 * Who conn is, for a line at a terminal: "#17 from 127.0.0.1:40133", without
 * the number if it is not named.  Returns text.
 */
#define CLIENT_LOG_WHO_MAX (SOCKADDR_TEXT_MAX + 32)
const char *client_log_who(const struct conn *conn,
    char text[CLIENT_LOG_WHO_MAX]);

/*
 * Says how many lines were left out, once the second is over; it is at
 * client_log_due_ms, UINT64_MAX: never.
 */
void client_log_flush(struct client_log *log, uint64_t now_ms);
uint64_t client_log_due_ms(const struct client_log *log);

#endif
