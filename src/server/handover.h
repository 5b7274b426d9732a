#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "stream/conn.h"
#include "stream/proxy.h"
#include "systemd/fdstore.h"

/*
 * Connections that live through a restart.  The next process gets the socket of
 * each and a struct conn_state (stream/conn.h): protocol, framing, whether a
 * line begins, what is not answered or taken yet, how long it has been quiet,
 * whether the client has ended, and whom a PROXY header named or that one is to
 * come; but no counts.
 *
 * They travel in a socket pair, one end of which the service manager keeps: the
 * first record in it is a sealed file in memory, the next ones are the sockets.
 * The file is a head and, for each socket in order, an entry and the output and
 * input that the connection still holds.  The main thread calls all functions.
 */

/* How many places count connections need in the manager's store. */
size_t handover_places(size_t count);

/*
 * Hands the connections of list, which no thread serves any more, over to the
 * manager and frees them.  Those that it doesn't keep stay in list, after a
 * line in the log.
 */
void handover_store(struct conn_list *list, struct counters *counters);

/*
 * Puts the connections that are among fds into list, which is empty, the
 * longest quiet last.  One whose state can't be read is closed, and counted.
 */
void handover_restore(struct fdstore_fd *fds, size_t count,
    struct conn_list *list, struct counters *counters);

/* No padding.  If these or their meaning change, so must the number below. */
struct handover_head {
	char name[24];
	uint32_t entry_size;
	uint32_t count; /* of entries */
};
#define HANDOVER_HEAD(count)                                                   \
	{                                                                      \
		"timestampd connection 4", sizeof(struct handover_entry),      \
		    count                                                      \
	}

struct handover_entry {
	uint64_t messages, idle_ms, out_len, in_len, arrived_s;
	uint32_t arrived_ns, protocol;
	uint16_t framing, line_start, has_ended, proxy; /* enum proxy_due */
};

/* Behind the entry when a PROXY header named the client. */
struct handover_client {
	uint16_t family; /* AF_INET, AF_INET6 or AF_UNIX */
	uint16_t port;   /* in network byte order */
	uint8_t ip[16];  /* of IPv4: the first 4; of Unix: none */
};

/* A file that is read; count entries are left. */
struct handover_file {
	const char *bytes;
	size_t len, at;
	uint32_t count;
	struct proxy proxy; /* of the last state */
};

/*
 * Begins to read bytes.  Returns false if any of them differs from what this
 * version writes; handover_next then returns no entry.
 */
bool handover_begin(struct handover_file *file, const char *bytes, size_t len);

/*
 * The state in the next entry; it points into the file and to its proxy.
 * False: none left.
 */
bool handover_next(struct handover_file *file, struct conn_state *state);

#endif
