#include "http/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/message.h"
#include "http/answer.h"
#include "listen/plan.h"
#include "net/sockopt.h"

#define NAME "http"         /* FileDescriptorName= */
#define THREAD "MHD-single" /* its name */
#define PAUSE_MS 100        /* between two tries to accept */
#define QUIET_S 5           /* a client may send and take nothing for so long */
#define REQUEST_MAX 16384   /* bytes of a request's head */

/* Called by libmicrohttpd when a client comes, and before it is closed. */
static void
note_client(void *cls, struct MHD_Connection *connection, void **context,
    enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;
	const struct microhttpd *library = &http->library;

	if (code != MHD_CONNECTION_NOTIFY_STARTED) {
		crowd_remove(&http->crowd, *context);
		return;
	}
	/* Each may overwrite what the one before returned. */
	int fd = library
	             ->get_connection_info(connection,
			 MHD_CONNECTION_INFO_CONNECTION_FD)
	             ->connect_fd;
	const void *daemon =
	    library->get_connection_info(connection, MHD_CONNECTION_INFO_DAEMON)
		->daemon;
	*context = crowd_add(&http->crowd, fd, daemon);
}

/*
 * Called by libmicrohttpd when it cannot go on, such as when a close fails; by
 * default it would end the process.  Its thread must not return.
 */
static void
give_up(void *cls, const char *file, unsigned line, const char *reason)
{
	struct http *http = cls;

	log_error("http ends until a restart: libmicrohttpd: %s, line %u: %.*s",
	    file, line, reason != NULL ? (int)strcspn(reason, "\n") : 0,
	    reason);
	http->is_broken = true;
	/* This is the main thread. */
	if (gettid() == getpid())
		abort();
	for (;;)
		poll(NULL, 0, -1);
}

/*
 * Called by libmicrohttpd when something went wrong.  As long as it has no
 * client it calls accept again at once where file descriptors or memory lack;
 * in a pause others can have the CPU.
 */
static void
note_problem(void *cls, const char *format, va_list values)
{
	struct log_about about = { .message_id = LOG_ID_ACCEPT_PAUSED };
	struct http *http = cls;
	int problem = errno;

	(void)format;
	(void)values;
	/* The main thread says itself what it could not begin. */
	if (gettid() == getpid() ||
	    (problem != EMFILE && problem != ENFILE && problem != ENOBUFS &&
		problem != ENOMEM))
		return;
	if (clock_minute_passed(&http->logged_ms, clock_ms()))
		log_about(LOG_WARNING, &about,
		    "http: accept: %s: clients wait, next try in %d ms",
		    strerror(problem), PAUSE_MS);
	poll(NULL, 0, PAUSE_MS);
	/* It may have more to say of the same call. */
	errno = 0;
}

void
http_init(struct http *http)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&http->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&http->told, &attributes);
	pthread_condattr_destroy(&attributes);
	http->epoll_fd = http->ask_fd = -1;
	http->started_ns = clock_ns_since(&(struct timespec){ 0 });
	http->unready = "starting\n";
	http->responsive = true;
	crowd_init(&http->crowd);
}

void
http_watch(struct http *http, int epoll_fd)
{
	http->epoll_fd = epoll_fd;
}

/* -1 with errno. */
static int
open_ask(struct http *http)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = http };

	http->beat_ms = clock_ms();
	if (http->ask_fd != -1)
		return 0;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd == -1)
		return -1;
	if (epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
		http->ask_fd = fd;
		return 0;
	}
	int problem = errno;
	close(fd);
	errno = problem;
	return -1;
}

/* -1 with errno. */
static int
load(struct http *http, const struct listener *listener, char *error)
{
	const char *problem = microhttpd_load(&http->library);

	if (problem != NULL) {
		errno = ENOENT;
		return listener_fail(listener, error, "cannot be served: %s",
		    problem);
	}
	http->library.set_panic_func(give_up, http);
	return 0;
}

/*
 * A duplicate that libmicrohttpd did not take: where it could not start its
 * thread it has closed it, and the number may be that of another file by now.
 */
static void
close_duplicate(int fd, const struct listener *listener)
{
	uint64_t cookie, own_cookie;

	if (fd != -1 && sockopt_cookie(fd, &cookie) == 0 &&
	    sockopt_cookie(listener->fd, &own_cookie) == 0 &&
	    cookie == own_cookie)
		close(fd);
}

/* libmicrohttpd closes its socket: it gets a duplicate.  -1 with errno. */
static int
serve(struct http *http, struct http_site *site, char *error)
{
	struct listener *listener = site->listener;
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC |
	                 MHD_USE_ERROR_LOG;

	if (load(http, listener, error) == -1)
		return -1;
	if (http->is_broken) {
		errno = EPIPE;
		return listener_fail(listener, error,
		    "cannot be served until a restart: libmicrohttpd has "
		    "given up, as the log says");
	}
	int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
	if (fd == -1 || open_ask(http) == -1) {
		listener_fail(listener, error, "%m");
	} else {
		errno = ENOMEM;
		site->daemon = http->library.start_daemon(flags, 0, NULL, NULL,
		    answer_request, http, MHD_OPTION_EXTERNAL_LOGGER,
		    note_problem, http, MHD_OPTION_LISTEN_SOCKET, fd,
		    MHD_OPTION_NOTIFY_CONNECTION, note_client, http,
		    MHD_OPTION_CONNECTION_LIMIT, (unsigned)CROWD_MAX,
		    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)QUIET_S,
		    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MAX,
		    MHD_OPTION_END);
		if (site->daemon != NULL) {
			listener->state = LISTENER_SERVING;
			return 0;
		}
		listener_fail(listener, error, "cannot be served: %m");
	}
	int problem = errno;
	close_duplicate(fd, listener);
	errno = problem;
	return -1;
}

/* While the main thread awaits an end it has no figures for anyone. */
static void
note_joining(struct http *http, bool is_joining)
{
	pthread_mutex_lock(&http->lock);
	http->is_joining = is_joining;
	pthread_cond_broadcast(&http->told);
	pthread_mutex_unlock(&http->lock);
}

/* False: its thread hangs. */
static bool
end_daemon(struct http *http, struct MHD_Daemon *daemon, uint64_t end_ms)
{
	struct ender *ender;

	if (http->is_broken)
		return false;
	ender = ender_start(http->library.stop_daemon, daemon);
	/* Without memory or threads only this one is left to wait. */
	if (ender == NULL) {
		http->library.stop_daemon(daemon);
		return true;
	}
	if (ender_await(ender, end_ms))
		return true;
	SLIST_INSERT_HEAD(&http->left, ender, link);
	return false;
}

/* Its daemon has a duplicate: let others have the address. */
static void
leave_behind(const struct listener *listener)
{
	if (listener->origin != ORIGIN_PASSED)
		shutdown(listener->fd, SHUT_RDWR);
	log_error("http %s: thread %s does not end: left behind",
	    strchr(listener->name, ' ') + 1, THREAD);
}

static void
close_site(struct http *http, struct http_site *site, uint64_t end_ms)
{
	if (site->daemon != NULL) {
		note_joining(http, true);
		bool is_ended = end_daemon(http, site->daemon, end_ms);
		note_joining(http, false);
		if (!is_ended)
			leave_behind(site->listener);
	}
	listener_free(site->listener);
	*site = (struct http_site){ 0 };
}

static void
announce(const struct listener *listener)
{
	const char *protocol = protocol_name(listener->config.protocol);
	struct log_about about = { .listener = listener->name };

	log_about(LOG_INFO, &about, "listening on http %s",
	    listener->name + strlen(protocol) + 1);
}

/* Takes over fd.  -1 with a message in error. */
static int
inherit(struct http *http, int fd, char *error)
{
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);
	struct http_site *site = &http->site;

	if (listener_inherit(fd, NAME, &list, error) == -1)
		return -1;
	struct listener *listener = TAILQ_FIRST(&list);
	int type = protocol_socket_type(listener->config.protocol);
	if (site->listener != NULL || type != SOCK_STREAM) {
		listener_fail(listener, error,
		    site->listener != NULL ? "only one socket is served"
					   : "is not a stream socket");
		listener_free(listener);
		return -1;
	}
	site->listener = listener;
	return 0;
}

void
http_inherit(struct http *http, struct fdstore_fd *fds, size_t count)
{
	char error[LISTENER_ERROR_MAX];

	for (size_t i = 0; i < count; i++) {
		if (fds[i].fd == -1 || strcmp(fds[i].name, NAME) != 0)
			continue;
		if (inherit(http, fds[i].fd, error) == -1)
			log_error("%s", error);
		fds[i].fd = -1;
	}
}

static bool
is_same(const struct listener *open, const struct listener_config *wanted)
{
	if (open == NULL || wanted->where[0] == '\0')
		return open == NULL && wanted->where[0] == '\0';
	return open->config.protocol == wanted->protocol &&
	       open->config.port == wanted->port &&
	       strcmp(open->config.address, wanted->address) == 0 &&
	       strcmp(open->config.path, wanted->path) == 0;
}

/*
 * Opens it beside the one that is open.  Of two addresses at one port each may
 * hold the other: for this moment both may have it.
 */
static int
open_beside(struct listener *listener, const struct listener *open, char *error)
{
	bool is_port_shared = open != NULL &&
	                      listener->config.protocol == PROTOCOL_TCP &&
	                      open->config.protocol == PROTOCOL_TCP &&
	                      listener->config.port ==
	                          sockaddr_port(&open->bound);

	if (!is_port_shared)
		return listener_open(listener, NULL, error);
	sockopt_set(open->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	int rc = listener_open(listener, open, error), problem = errno;
	sockopt_set(open->fd, SOL_SOCKET, SO_REUSEPORT, 0);
	errno = problem;
	return rc;
}

/* Says so if a listener of this server has the address.  -1, errno stays. */
static int
blame(const struct listener *listener, const struct listener_set *set,
    char *error)
{
	const struct listener *at;

	TAILQ_FOREACH (at, &set->listeners, link)
		if (errno == EADDRINUSE && plan_is_in_the_way(at, listener))
			return listener_fail(listener, error,
			    "%s%s of this server is in the way",
			    at->origin != ORIGIN_PASSED ? "needs a restart: "
							: "",
			    at->name);
	return -1;
}

/* -1 with errno and a message in error. */
static int
open_site(struct http *http, const struct config *config,
    const struct listener_set *set, char *error)
{
	struct http_site *site = &http->next;
	struct listener_list list = TAILQ_HEAD_INITIALIZER(list);

	if (listener_resolve(&config->http, &list, 0, error) == -1)
		return -1;
	user_give_sockets(&set->user, config, &list);
	site->listener = TAILQ_FIRST(&list);
	/* Where it is served later, too: nobody is a client yet. */
	if (load(http, site->listener, error) == -1)
		return -1;
	if (open_beside(site->listener, http->site.listener, error) == -1)
		return blame(site->listener, set, error);
	user_give_path(&set->user, config, site->listener);
	return set->user.is_settled ? serve(http, site, error) : 0;
}

int
http_prepare(struct http *http, const struct config *config,
    const struct listener_set *set, FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	const struct listener *open = http->site.listener;

	http->is_replaced = !(open != NULL && open->origin == ORIGIN_PASSED) &&
	                    !is_same(open, &config->http);
	if (!http->is_replaced || config->http.where[0] == '\0' ||
	    open_site(http, config, set, error) == 0)
		return 0;
	int problem = errno;
	message_print(errors, "%s\n", error);
	http_undo(http);
	errno = problem;
	return -1;
}

const struct listener *
http_listener(const struct http *http)
{
	return http->site.listener;
}

bool
http_is_leaving(const struct http *http)
{
	return http->is_replaced;
}

void
http_replace(struct http *http)
{
	if (!http->is_replaced)
		return;
	http->is_replaced = false;
	if (http->site.listener != NULL)
		log_info("no longer listening on http %s",
		    strchr(http->site.listener->name, ' ') + 1);
	close_site(http, &http->site, clock_ms() + HTTP_END_MS);
	http->site = http->next;
	http->next = (struct http_site){ 0 };
	if (http->site.daemon != NULL)
		announce(http->site.listener);
}

int
http_serve(struct http *http, FILE *errors)
{
	struct http_site *site = &http->site;
	char error[LISTENER_ERROR_MAX];

	if (site->listener == NULL || site->daemon != NULL)
		return 0;
	if (serve(http, site, error) == 0) {
		announce(site->listener);
		return 0;
	}
	int problem = errno;
	bool is_passed = site->listener->origin == ORIGIN_PASSED;
	if (is_passed)
		log_error("%s", error);
	else
		message_print(errors, "%s\n", error);
	close_site(http, site, clock_ms() + HTTP_END_MS);
	errno = problem;
	return is_passed ? 0 : -1;
}

void
http_undo(struct http *http)
{
	close_site(http, &http->next, clock_ms() + HTTP_END_MS);
	http->is_replaced = false;
}

/* Whether those that were left behind have come back, and ended. */
static bool
join_left(struct http *http, uint64_t end_ms)
{
	struct ender *ender;

	while ((ender = SLIST_FIRST(&http->left)) != NULL) {
		SLIST_REMOVE_HEAD(&http->left, link);
		if (!ender_await(ender, end_ms))
			return false;
	}
	return true;
}

bool
http_close(struct http *http)
{
	uint64_t end_ms = clock_ms() + HTTP_END_MS;

	/* First those that end at once: one that hangs takes all the time. */
	close_site(http, &http->site, end_ms);
	close_site(http, &http->next, end_ms);
	if (!join_left(http, end_ms) || http->is_broken)
		return false;
	if (http->ask_fd != -1)
		close(http->ask_fd);
	metrics_release(http->metrics);
	pthread_cond_destroy(&http->told);
	pthread_mutex_destroy(&http->lock);
	crowd_destroy(&http->crowd);
	return true;
}

bool
http_is_open(const struct http *http)
{
	return http->site.daemon != NULL;
}

void
http_tell(struct http *http, struct metrics *metrics)
{
	eventfd_t asked;

	eventfd_read(http->ask_fd, &asked);
	if (metrics == NULL)
		return;
	metrics->is_ready = http->unready == NULL && http->responsive;
	pthread_mutex_lock(&http->lock);
	struct metrics *old = http->metrics;
	http->metrics = metrics;
	http->busy_ms = 0;
	pthread_cond_broadcast(&http->told);
	pthread_mutex_unlock(&http->lock);
	metrics_release(old);
}

void
http_set_unready(struct http *http, const char *why)
{
	http->unready = why;
}

void
http_note_beat(struct http *http, bool responsive, uint64_t now_ms)
{
	http->beat_ms = now_ms;
	http->responsive = responsive;
	crowd_end_late(&http->crowd, now_ms);
}
