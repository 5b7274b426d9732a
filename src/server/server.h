#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stddef.h>

#include "base/counters.h"
#include "config/config.h"
#include "config/options.h"
#include "http/http.h"
#include "listen/listener_set.h"
#include "server/control.h"
#include "server/shutdown.h"
#include "server/watchdog.h"
#include "stream/worker_pool.h"
#include "systemd/fdstore.h"

/* The main thread's; reload.c and shutdown.c work on it too. */
struct server {
	const struct options *options;
	struct config *config; /* in use */
	const char *local_tz;  /* TZ when the process began */
	enum shutdown_state state;
	uint64_t deadline_ms; /* of the state; UINT64_MAX: none */
	uint64_t remark_ms;   /* when to say that a stop waits, or UINT64_MAX */
	int epoll_fd, signal_fd;
	struct worker_pool pool;
	struct listener_set listeners;
	struct watchdog watchdog;
	struct control control;
	struct http http;
	struct fdstore_fd *passed; /* by the service manager, at the start */
	size_t passed_count;
	struct counters counters; /* of this thread and of those that ended */
};

/*
 * Serves until a signal ends it; owns config.  Returns 0, or an exit status
 * after a line in the log.  The main thread calls it before there are others;
 * it blocks the signals that it takes.
 */
int server_run(struct config *config, const struct options *options);

/* How long threads may take to end when all else is closed. */
#define SERVER_END_MS 2000

/* Starts the workers; -1 with errno. */
int server_start_pool(struct server *server);

/* Dispatches the connections of list, more than max_connections if need be. */
void server_serve(struct server *server, struct conn_list *list);

/* Adds the counters of all threads to sum. */
void server_total_counters(const struct server *server, struct counters *sum);

/* Logs each line of text, which may be NULL, as an error. */
void server_log_lines(const char *text);

#endif
