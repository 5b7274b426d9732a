#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include <stdint.h>

#include "listen/listener.h"

struct server;

/*
 * The control socket: a Unix seqpacket socket where "timestampd -r" and "-s"
 * ask the server.  A client sends one record: "reload", "counters" or "counters
 * json".  The answer is one record: a line with the exit status for the client,
 * 0 if all is well, and then text; the server closes the connection after it.
 * Only root and the user of the server are answered.
 *
 * The server serves one client at a time and never waits for it; the others
 * wait in the backlog.  The main thread calls all functions but control_ask.
 */
struct control {
	struct listener *listener; /* NULL: no socket */
	int client_fd;             /* -1: no client is served */
	/* The latest time to call control_handle; UINT64_MAX: never. */
	uint64_t deadline_ms;
};

/*
 * Listens at the path that the configuration says, and nowhere else.  A failure
 * is logged: the server serves its other clients without a control socket.
 */
void control_open(struct server *server);
void control_close(struct server *server);

/*
 * Accepts a client, answers it or closes it; to be called when an event with
 * &server->control comes, and at the deadline.
 */
void control_handle(struct server *server, uint64_t now_ms);

/*
 * Sends request to the server at path and writes the answer's text to standard
 * output, or what went wrong to standard error.  Returns 0 or an exit status:
 * what the server says, EX_UNAVAILABLE when no server answers, EX_NOPERM when
 * it may not be asked, EX_OSERR or EX_IOERR for faults here.
 */
int control_ask(const char *path, const char *request);

#endif
