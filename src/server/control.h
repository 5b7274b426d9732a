#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

/*
 * The control socket: a Unix stream socket where "timestampd -r" and "-s" ask
 * the server.  A client sends one line, "reload", "counters" or "counters json".
 * The answer is a line "ok" or "error STATUS", STATUS being the exit status for
 * the client, and then text; the server closes the connection after it.  Only
 * root and the user of the server are answered.
 *
 * The main thread calls all functions.  They never wait for a client: an answer
 * fits into the socket's buffer, and who asks nothing is closed after a while.
 */
#define CONTROL_ANSWER_MAX 16384 /* bytes, with the first line */
#define CONTROL_REQUEST_MAX 32
#define CONTROL_CLIENTS_MAX 8 /* at once; more wait in the backlog */

/*
 * Carries out request, a line without its end, and writes the answer's text of
 * less than size bytes; returns 0, or an exit status for the client.
 */
typedef int control_handler(void *context, const char *request, char *text,
    size_t size);

struct control_client {
	int fd; /* -1: free */
	uint64_t deadline_ms;
	size_t len;
	char request[CONTROL_REQUEST_MAX];
};

struct control {
	control_handler *handler;
	void *context;
	int epoll_fd; /* readable when control_handle has something to do */
	int fd;       /* -1: no socket */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device; /* of the path, which is ours as long as it has these */
	ino_t inode;
	bool accepting;
	uint64_t sweep_ms; /* when to look for silent clients; 0: never */
	struct control_client clients[CONTROL_CLIENTS_MAX];
};

/* No socket yet.  -1 with errno; control_close is allowed then too. */
int control_init(struct control *control, control_handler *handler,
    void *context);
void control_close(struct control *control);

/*
 * Has the socket at path, which "" stands for none, and nowhere else.  A failure
 * is logged: the server serves its other clients without a control socket.
 */
void control_listen(struct control *control, const char *path);

/* Until control_handle must be called though epoll_fd is quiet; -1: never. */
int control_wait_ms(const struct control *control, uint64_t now_ms);

/* One step, in which at most one request is carried out. */
void control_handle(struct control *control, uint64_t now_ms);

#endif
