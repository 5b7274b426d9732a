#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "stream/conn.h"
#include "systemd/fdstore.h"

/*
 * Connections that live through a restart.  The service manager keeps them for
 * the next process in a socket pair: sent, and not received yet, is a file in
 * memory with their states, and then they themselves.  So the manager, which
 * looks at all that it keeps whenever something is added, has one thing to keep.
 * Every function is for the main thread.
 */

/* How many places count connections take in the manager's store. */
size_t handover_places(size_t count);

/*
 * Leaves the connections of list, which no thread serves any more, to the
 * manager and frees them.  Those that can't be left stay in list, after a word
 * in the log.
 */
void handover_store(struct conn_list *list, struct counters *counters);

/*
 * Makes the connections that are among fds anew and adds them to list.  One
 * whose state can't be read is closed, and counted.
 */
void handover_restore(struct fdstore_fd *fds, size_t count,
    struct conn_list *list, struct counters *counters);

/* The state of one connection, by which it is found again: SO_COOKIE. */
struct handover_record {
	uint64_t cookie;
	struct conn_state state;
};

/*
 * The records in text, sorted by cookie, to be freed; they point into text.
 * NULL with EINVAL when any of it is not as this version writes it, with ENOMEM
 * when memory runs out.
 */
struct handover_record *handover_parse(const char *text, size_t len,
    size_t *count);

#endif
