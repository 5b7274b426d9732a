#include "server/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/param.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/handover.h"
#include "server/reload.h"
#include "systemd/notify.h"

#define EVENTS_MAX 64

static int
exit_status(int problem)
{
	if (problem == EACCES || problem == EPERM)
		return EX_NOPERM;
	if (problem == EADDRINUSE || problem == EADDRNOTAVAIL ||
	    problem == ENOENT || problem == ENOTDIR)
		return EX_UNAVAILABLE;
	return EX_OSERR;
}

void
server_log_lines(const char *text)
{
	while (text != NULL && *text != '\0') {
		const char *end = strchrnul(text, '\n');
		log_error("%.*s", (int)(end - text), text);
		text = *end == '\n' ? end + 1 : end;
	}
}

void
server_total_counters(const struct server *server, struct counters *sum)
{
	counters_sum(sum, &server->counters);
	worker_pool_add_counters(&server->pool, sum);
	listener_set_add_counters(&server->listeners, sum);
}

static void
log_counters(const struct server *server)
{
	enum counters_form form = log_terminal() ? COUNTERS_SHORT
	                                         : COUNTERS_LINE;
	struct counters sum = { 0 };
	char text[COUNTERS_TEXT_MAX];

	server_total_counters(server, &sum);
	counters_text(&sum, form, text);
	log_notice("counters: %s", text[0] != '\0' ? text : "all are 0");
}

static void
take_signal(struct server *server)
{
	struct signalfd_siginfo info;
	char text[64]; /* the log says why a reload is refused */

	if (read(server->signal_fd, &info, sizeof(info)) !=
	    (ssize_t)sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGUSR1:
		log_counters(server);
		break;
	case SIGHUP:
		reload_run(server, text, sizeof(text));
		break;
	case SIGUSR2:
		shutdown_restart(server);
		break;
	default:
		shutdown_stop(server);
	}
}

static int
watch(const struct server *server, int fd, const void *source)
{
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.ptr = (void *)source,
	};

	return epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int
server_start_pool(struct server *server)
{
	struct worker_pool *pool = &server->pool;
	const struct config *config = server->config;

	if (worker_pool_start(pool, config, config->max_connections) == -1 ||
	    watch(server, pool->shared.room_fd, &pool->shared) == -1)
		return -1;
	return watch(server, pool->shared.done_fd, pool);
}

void
server_serve(struct server *server, struct conn_list *list)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, conn, link);
		worker_pool_dispatch(&server->pool, conn);
	}
}

/* Until the next deadline, in milliseconds; -1: there is none. */
static int
wait_ms(const struct server *server)
{
	uint64_t now_ms = clock_ms();
	int wait = acceptor_wait_ms(&server->listeners.acceptor, now_ms);
	const uint64_t deadlines[] = { server->deadline_ms, server->remark_ms,
		server->watchdog.next_ms, server->control.deadline_ms };

	for (size_t i = 0; i < sizeof(deadlines) / sizeof(*deadlines); i++) {
		if (deadlines[i] == UINT64_MAX)
			continue;
		int left = deadlines[i] > now_ms ? (int)(deadlines[i] - now_ms)
		                                 : 0;
		if (wait == -1 || left < wait)
			wait = left;
	}
	return wait;
}

static void
tell_metrics(struct server *server)
{
	struct counters sum = { 0 };

	server_total_counters(server, &sum);
	http_tell(&server->http,
	    metrics_take(&sum, &server->listeners.listeners, &server->pool,
		server->config));
}

/* Whether new clients are welcome. */
static void
note_readiness(struct server *server)
{
	const char *why = NULL;

	if (!http_is_open(&server->http))
		return;
	if (server->state == SHUTDOWN_LAME_DUCK)
		why = "lame duck: stopping soon\n";
	else if (server->state != SHUTDOWN_RUNNING)
		why = "stopping\n";
	/* Where there is none, a close wakes this thread. */
	else if (!worker_pool_has_room(&server->pool))
		why = "max_connections are open\n";
	http_set_unready(&server->http, why);
}

/*
 * Signals and the control socket come last: they may end a listener that still
 * has an event here.  One of them in a round: a reload may take long, and the
 * watchdog waits.
 */
static void
wait_and_handle(struct server *server)
{
	struct acceptor *acceptor = &server->listeners.acceptor;
	struct epoll_event events[EVENTS_MAX];
	bool signalled = false, asked = false;
	int n = epoll_wait(server->epoll_fd, events, EVENTS_MAX,
	    wait_ms(server));
	uint64_t now_ms = clock_ms();

	acceptor_note_time(acceptor, now_ms);
	for (int i = 0; i < n; i++) {
		void *source = events[i].data.ptr;
		if (source == &server->signal_fd)
			signalled = true;
		else if (source == &server->control)
			asked = true;
		else if (source == &server->http)
			tell_metrics(server);
		else if (source == &server->pool.shared)
			acceptor_note_room(acceptor);
		else if (source == &server->pool)
			worker_pool_note_done(&server->pool);
		else if (source == &server->listeners)
			listener_set_note_done(&server->listeners);
		else
			acceptor_accept(acceptor, source);
	}
	if (signalled)
		take_signal(server);
	else if (asked || server->control.deadline_ms <= now_ms)
		control_handle(server, now_ms);
	watchdog_beat(server);
	listener_set_drop_drained(&server->listeners);
	shutdown_advance(server);
	note_readiness(server);
}

static int
open_fds(struct server *server)
{
	static const int taken[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1,
		SIGUSR2 };
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		sigaddset(&signals, taken[i]);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	server->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->signal_fd == -1 || server->epoll_fd == -1 ||
	    listener_set_open(&server->listeners, server->epoll_fd) == -1 ||
	    watch(server, server->listeners.done_fd, &server->listeners) == -1)
		return -1;
	http_watch(&server->http, server->epoll_fd);
	return watch(server, server->signal_fd, &server->signal_fd);
}

/* Whether all have ended; the log names those that have not. */
static bool
end_threads(struct server *server)
{
	struct conn_list none = TAILQ_HEAD_INITIALIZER(none);
	uint64_t deadline_ms = MIN(server->deadline_ms,
	    clock_ms() + SERVER_END_MS);

	worker_pool_order(&server->pool, WORKER_ABORT);
	bool ended = listener_set_end(&server->listeners, deadline_ms);
	if (!worker_pool_await_end(&server->pool, deadline_ms))
		return false;
	worker_pool_join(&server->pool, &server->counters, &none);
	return ended;
}

static void
close_all(struct server *server)
{
	listener_set_free(&server->listeners);
	fdstore_free(server->passed, server->passed_count);
	if (server->epoll_fd != -1)
		close(server->epoll_fd);
	if (server->signal_fd != -1)
		close(server->signal_fd);
	config_free(server->config);
}

/* 0, or an exit status after a line in the log for each fault. */
static int
open_listeners(struct server *server)
{
	struct listener_set *listeners = &server->listeners;
	char *text = NULL;
	size_t len;
	FILE *errors = open_memstream(&text, &len);

	if (errors == NULL) {
		log_error("cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	http_inherit(&server->http, server->passed, server->passed_count);
	listener_set_inherit(listeners, server->passed, server->passed_count);
	int rc = http_prepare(&server->http, server->config, listeners, errors);
	if (rc == 0)
		http_replace(&server->http);
	/* Host names may take long: meanwhile health says "starting". */
	if (rc == 0 && !user_is_due(&listeners->user, server->config))
		rc = http_serve(&server->http, errors);
	if (rc == 0)
		rc = listener_set_reload(listeners, server->config, errors);
	if (rc == 0)
		rc = http_serve(&server->http, errors);
	int status = rc == 0 ? 0 : exit_status(errno);
	fclose(errors);
	server_log_lines(text);
	free(text);
	return status;
}

/* Serves the connections that the process before this one handed over. */
static void
take_over(struct server *server)
{
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	struct conn *conn;

	handover_restore(server->passed, server->passed_count, &list,
	    &server->counters);
	/* Clients of what could not be taken must see the end. */
	fdstore_free(server->passed, server->passed_count);
	server->passed = NULL;
	server->passed_count = 0;
	TAILQ_FOREACH (conn, &list, link)
		acceptor_count(&server->listeners.acceptor, conn);
	server_serve(server, &list);
}

/* What only root must do is done: then nothing should run as root. */
static void
warn_of_root(const struct server *server)
{
	if (geteuid() == 0 && server->config->user[0] == '\0')
		log_warning("the server runs as root: set user in the "
			    "configuration, or start it as another user");
}

/* 0, or an exit status after a line in the log. */
static int
start(struct server *server)
{
	struct log_about about = { .message_id = LOG_ID_START };

	listener_set_init(&server->listeners, &server->pool, &server->counters);
	/* For threads to inherit it.  No program is executed anyway. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		log_warning("cannot set PR_SET_NO_NEW_PRIVS: %s",
		    strerror(errno));
	reload_raise_file_limit();
	server->passed = fdstore_receive(&server->passed_count);
	if (server->passed == NULL || open_fds(server) == -1 ||
	    server_start_pool(server) == -1) {
		log_error("cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	/* Before the server becomes its user, who may not be able to. */
	control_open(server);
	int status = open_listeners(server);
	if (status != 0)
		return status;
	if (listener_set_configure(&server->listeners, server->config) == -1) {
		log_error("cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	warn_of_root(server);
	reload_fit_connections(server);
	take_over(server);
	note_readiness(server);
	log_about(LOG_INFO, &about, "ready: %d workers, at most %d connections",
	    server->pool.count, server->pool.max_connections);
	watchdog_start(server);
	notify_send(NOTIFY_READY);
	return 0;
}

int
server_run(struct config *config, const struct options *options)
{
	struct server server = {
		.options = options,
		.local_tz = getenv("TZ"),
		.deadline_ms = UINT64_MAX,
		.remark_ms = UINT64_MAX,
		.epoll_fd = -1,
		.signal_fd = -1,
		.watchdog = { .next_ms = UINT64_MAX },
		.control = { .client_fd = -1, .deadline_ms = UINT64_MAX },
	};

	http_init(&server.http);
	reload_use(&server, config);
	int status = start(&server);
	while (status == 0 && server.state != SHUTDOWN_ENDED)
		wait_and_handle(&server);
	control_close(&server);
	bool ended = http_close(&server.http);
	ended &= end_threads(&server);
	if (status == 0) {
		log_counters(&server);
		log_info("stopped");
	}
	/* A thread that hangs may yet touch what a return would free. */
	if (!ended)
		_exit(status);
	close_all(&server);
	return status;
}
