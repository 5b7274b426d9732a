#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "http/crowd.h"
#include "http/ender.h"
#include "http/metrics.h"
#include "http/microhttpd.h"
#include "listen/listener_set.h"
#include "systemd/fdstore.h"

#define HTTP_FDS_MAX (CROWD_MAX + 8)
#define HTTP_END_MS 2000 /* a thread that takes longer to end is left behind */

/* A listening socket, and the thread of libmicrohttpd that serves it. */
struct http_site {
	struct listener *listener; /* NULL: none */
	struct MHD_Daemon *daemon;
};

/*
 * Metrics and health over HTTP: /metrics, /live and /ready, to be read only.
 * Each client gets one answer.  Its clients do not delay the other threads:
 * those leave figures here, and the main thread the figures of all, at most
 * fifty times a second and only when somebody asks for them.
 */
struct http {
	/* The main thread. */
	struct http_site site, next; /* next: opened for a reload */
	bool is_replaced;            /* by next, when the reload succeeds */
	struct ender_list left;      /* their daemons' threads hang */
	struct microhttpd library;   /* all threads, once it is loaded */
	int epoll_fd;
	int ask_fd; /* eventfd: a client waits for new figures; -1: none */

	/* All threads. */
	uint64_t started_ns;           /* CLOCK_REALTIME; of the process */
	_Atomic(const char *) unready; /* a line why; NULL: ready */
	_Atomic uint64_t beat_ms;      /* when the main thread was responsive */
	_Atomic bool responsive;       /* the other threads are */
	_Atomic bool is_broken;        /* libmicrohttpd has given up */
	_Atomic uint64_t logged_ms;    /* when accept failed; 0: never */
	struct crowd crowd;            /* of both sites */
	pthread_mutex_t lock;          /* of what follows */
	pthread_cond_t told;
	struct metrics *metrics; /* NULL: none yet */
	bool is_joining;         /* the main thread awaits a daemon's end */
	uint64_t busy_ms;        /* nobody waits for figures until then */
};

/* All functions are for the main thread. */

void http_init(struct http *http);

/*
 * From now on epoll_fd reports &http when a client waits for new figures; then
 * http_tell is to be called.
 */
void http_watch(struct http *http, int epoll_fd);

/*
 * Takes a socket that the service manager passed under the name "http", for
 * http_serve.
 */
void http_inherit(struct http *http, struct fdstore_fd *fds, size_t count);

/*
 * Opens what config asks for, beside what is open now, unless that is the same
 * or was passed; serves it, once the user is settled.  -1 with errno and a line
 * in errors.  Then the one or the other is to be called: http_replace ends the
 * old one, http_undo the new one.
 */
int http_prepare(struct http *http, const struct config *config,
    const struct listener_set *set, FILE *errors);
void http_replace(struct http *http);
/* What is open, NULL: nothing, and whether http_replace will close it. */
const struct listener *http_listener(const struct http *http);
bool http_is_leaving(const struct http *http);
void http_undo(struct http *http);

/*
 * Serves what is open and not served yet, as nobody but the user of the
 * configuration.  -1 with errno and a line in errors; a passed socket that
 * can't be served is closed, with a line in the log.
 */
int http_serve(struct http *http, FILE *errors);

/* False: a thread hangs, and may yet touch http. */
bool http_close(struct http *http);

/* Whether anything is served. */
bool http_is_open(const struct http *http);

/* New figures, which it releases; NULL: there are none. */
void http_tell(struct http *http, struct metrics *metrics);

/* Why no new clients are welcome, a line; NULL: they are if threads respond. */
void http_set_unready(struct http *http, const char *why);

/* At each beat: whether the other threads respond.  Ends late clients. */
void http_note_beat(struct http *http, bool responsive, uint64_t now_ms);

#endif
