#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/protocol.h"
#include "stamp/framing.h"
#include "stamp/stamp.h"

#define CONFIG_DATAGRAM_MAX 65480 /* with a ctime stamp UDP carries no more */
#define CONFIG_THREADS_MAX 64
#define CONFIG_HOST_MAX 256
#define CONFIG_FD_NAME_MAX 256

/* One listener as configured; its name or "*" may stand for many addresses. */
struct config_listener {
	enum protocol protocol;
	char address[CONFIG_HOST_MAX]; /* TCP and UDP; "*": every address */
	int port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* Unix */
	mode_t mode;
	int backlog;
	enum framing framing;
	int max_datagram;                 /* bytes */
	int threads;                      /* UDP; 1 for all others */
	char fd_name[CONFIG_FD_NAME_MAX]; /* of sockets that may be passed */
	char where[320]; /* "file:line" for messages; "-l SPEC" */
};

/*
 * All settings.  Immutable once read; the main thread owns it and hands copies
 * of what they need to the others.
 */
struct config {
	int log_level;
	int workers; /* 0: one per CPU */
	int max_connections;
	int idle_timeout, send_timeout; /* seconds; 0: never */
	int drain_timeout;              /* seconds; 0: at once */
	struct stamp_format stamp;
	char timezone[64];
	bool arrival;               /* of when the kernel received the data */
	int rate_limit, rate_burst; /* replies; limit 0: none */
	struct config_listener *listeners;
	size_t listener_count;
	bool built_in_listeners; /* none are configured */
};

/* What a listener of protocol is like where nothing else is said. */
void config_listener_defaults(struct config_listener *listener,
    enum protocol protocol);

/*
 * The built-in settings, changed by the file path (or by none: NULL).  NULL
 * when anything was wrong, with a line in errors for each fault: "file:line:
 * setting: what is wrong and what is allowed".  Opens no socket and resolves no
 * host.  Free with config_free.  The main thread.
 */
struct config *config_load(const char *path, FILE *errors);
void config_free(struct config *config);

/*
 * Replaces the listeners by those of count command line SPECs, "tcp:PORT",
 * "udp:ADDRESS:PORT", "tcp:[::1]:PORT", "unix:/path" and so on.  -1 with a line
 * in errors for each fault.
 */
int config_set_listeners(struct config *config, char *const *specs,
    size_t count, FILE *errors);

#endif
