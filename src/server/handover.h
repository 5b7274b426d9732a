#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "stream/conn.h"
#include "systemd/fdstore.h"

/*
 * Connections that live through a restart.  What the next process needs of each
 * is its socket and a struct conn_state (stream/conn.h): protocol, framing,
 * whether a line begins, and what is not answered or not taken yet.
 *
 * They travel in a socket pair, one end of which the service manager keeps: the
 * first record in it is a sealed file in memory, the next ones are the sockets.
 * The file is text: a head; for each connection a line with its state, followed
 * by the output and the input that it still holds; and "end COUNT".
 *
 * The main thread calls all functions.
 */

/* How many places count connections need in the manager's store. */
size_t handover_places(size_t count);

/*
 * Hands the connections of list, which no thread serves any more, over to the
 * manager and frees them.  Those that it doesn't keep stay in list, after a line
 * in the log.
 */
void handover_store(struct conn_list *list, struct counters *counters);

/*
 * Appends to list the connections that are among fds.  One whose state can't be
 * read is closed, and counted.
 */
void handover_restore(struct fdstore_fd *fds, size_t count,
    struct conn_list *list, struct counters *counters);

/* A connection in the file; the cookie, SO_COOKIE, tells which socket it is. */
struct handover_record {
	uint64_t cookie;
	struct conn_state state;
};

/*
 * The records in text, sorted by cookie; they point into text, and are to be
 * freed.  NULL with EINVAL when text is not as this version writes it, or with
 * ENOMEM.
 */
struct handover_record *handover_parse(const char *text, size_t len,
    size_t *count);

#endif
