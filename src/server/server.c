#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/counters.h"
#include "base/log.h"
#include "listen/listener_set.h"
#include "server/control.h"
#include "server/handover.h"
#include "server/watchdog.h"
#include "stamp/stamp.h"
#include "stream/worker_pool.h"
#include "systemd/fdstore.h"
#include "systemd/notify.h"

#define EVENTS_MAX 64
#define FDS_A_WORKER 2
#define ANSWERED_MS 1000
#define FDS_RESERVED 48 /* standard streams, epoll, signals, files read ... */

enum phase { RUNNING, STOPPING, ENDED };

/* All of it belongs to the main thread. */
struct server {
	const struct options *options;
	struct config *config;
	const char *local_tz; /* TZ when the process began */
	enum phase phase;
	uint64_t deadline_ms; /* of the stop; 0: none */
	int epoll_fd, signal_fd;
	bool finishing; /* the workers know that no more will come */
	bool leaving;   /* what can be is left to the next process */
	struct worker_pool pool;
	struct listener_set roster;
	struct watchdog pulse;
	pid_t asker; /* of the reload that was answered last, and its name */
	int asker_name;
	uint64_t answered_ms;
	struct fdstore_fd *passed; /* by the service manager, at the start */
	size_t passed_count;
	struct counters
	    counters; /* of this thread, and of threads that ended */
};

static int
exit_status(int problem)
{
	switch (problem) {
	case EADDRINUSE:
	case EADDRNOTAVAIL:
	case ENOENT:
	case ENOTDIR:
		return EX_UNAVAILABLE;
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	default:
		return EX_OSERR;
	}
}

/* As many file descriptors as may be: the soft limit is for select(2). */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/*
 * As many connections as file descriptors allow beside the listeners that are
 * open, at most max_connections.
 */
static int
fit_connections(const struct server *server)
{
	rlim_t others = FDS_RESERVED + listener_set_fds(&server->roster) +
	                (rlim_t)server->pool.count * FDS_A_WORKER;
	rlim_t wanted = (rlim_t)server->config->max_connections + others;
	struct rlimit limit;

	raise_file_limit();
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= wanted)
		return server->config->max_connections;
	int fitting = limit.rlim_cur > others ? (int)(limit.rlim_cur - others)
	                                      : 1;
	log_warning("max_connections = %d wants %llu file descriptors, but the "
		    "limit is %llu: clamped to %d; raise LimitNOFILE= or "
		    "ulimit -Hn",
	    server->config->max_connections, (unsigned long long)wanted,
	    (unsigned long long)limit.rlim_cur, fitting);
	return fitting;
}

/* Each line of text is an error; NULL when there was no memory for it. */
static void
log_lines(const char *text)
{
	while (text != NULL && *text != '\0') {
		const char *end = strchrnul(text, '\n');
		log_error("%.*s", (int)(end - text), text);
		text = *end == '\n' ? end + 1 : end;
	}
}

static void
log_event(int level, const char *message_id, const char *message)
{
	struct log_about about = { .message_id = message_id };

	log_about(level, &about, "%s", message);
}

static void
use_config(struct server *server, struct config *config)
{
	config_free(server->config);
	server->config = config;
	log_set_level(config->log_level);
	if (stamp_set_zone(config->timezone, server->local_tz) == -1)
		log_error("time zone %s: %s", config->timezone,
		    strerror(errno));
}

/* The configuration that is to be used from now on; NULL: none, see errors. */
static struct config *
change_config(struct server *server, FILE *errors)
{
	struct config *config;

	if (options_load(server->options, &config, errors) != 0)
		return NULL;
	if (listener_set_reload(&server->roster, config, errors) == 0)
		return config;
	config_free(config);
	return NULL;
}

static void
apply_config(struct server *server, struct config *config)
{
	if (worker_pool_size(config) != server->pool.count)
		log_warning("workers: %d run until a restart",
		    server->pool.count);
	use_config(server, config);
	worker_pool_set_max(&server->pool, fit_connections(server));
	int rc = listener_set_configure(&server->roster, config);
	rc |= worker_pool_set(&server->pool, config);
	if (rc != 0)
		log_error("reload: a thread keeps its old settings: %s",
		    strerror(errno));
	log_event(LOG_INFO, LOG_ID_RELOAD, "reloaded");
}

/*
 * Whether it was done.  *reasons, to be freed, says why not; it is NULL or empty
 * when there was no memory for that.
 */
static bool
reload(struct server *server, char **reasons)
{
	size_t len;
	FILE *errors = open_memstream(reasons, &len);

	if (errors == NULL) {
		log_error("reload refused: %s", strerror(errno));
		return false;
	}
	notify_reloading();
	struct config *config = change_config(server, errors);
	fclose(errors);
	if (config != NULL) {
		apply_config(server, config);
	} else {
		log_lines(*reasons);
		log_event(LOG_ERR, LOG_ID_RELOAD_REFUSED,
		    "reload refused: all stays as it was");
	}
	notify_ready();
	return config != NULL;
}

/* Who waits asks again; that may have come while the answer was made. */
static bool
is_answered(const struct server *server, const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_QUEUE &&
	       server->asker == (pid_t)info->ssi_pid &&
	       server->asker_name == info->ssi_int &&
	       clock_ms() - server->answered_ms < ANSWERED_MS;
}

static void
take_reload(struct server *server, const struct signalfd_siginfo *info)
{
	char *reasons = NULL;
	const char *answer = "stopping";

	if (is_answered(server, info))
		return;
	if (server->phase == RUNNING && reload(server, &reasons))
		answer = "";
	else if (server->phase == RUNNING)
		answer = reasons != NULL && *reasons != '\0' ? reasons
		                                             : "out of memory";
	if (info->ssi_code == SI_QUEUE) {
		control_answer(info->ssi_int, answer);
		server->asker = (pid_t)info->ssi_pid;
		server->asker_name = info->ssi_int;
		server->answered_ms = clock_ms();
	}
	free(reasons);
}

static void
total_counters(const void *context, struct counters *sum)
{
	const struct server *server = context;

	counters_sum(sum, &server->counters);
	worker_pool_count(&server->pool, sum);
	listener_set_count(&server->roster, sum);
}

static void
log_counters(const struct server *server)
{
	struct counters sum = { 0 };
	char text[COUNTERS_TEXT_MAX];

	total_counters(server, &sum);
	log_notice("counters: %s",
	    counters_text(&sum, COUNTERS_LINE, text, sizeof(text)));
}

static uint64_t
stop_deadline_ms(const struct server *server)
{
	return clock_ms() + (uint64_t)server->config->drain_timeout * 1000;
}

static void
begin_stop(struct server *server)
{
	server->phase = STOPPING;
	server->deadline_ms = stop_deadline_ms(server);
	log_event(LOG_INFO, LOG_ID_STOP, "stopping");
	notify_stopping();
	listener_set_drain(&server->roster);
	worker_pool_order(&server->pool, WORKER_DRAIN);
}

/* The next process ends at once where the configuration is wrong by now. */
static bool
another_can_start(const struct server *server)
{
	struct config *config = NULL;
	char *reasons = NULL;
	size_t len;
	FILE *errors = open_memstream(&reasons, &len);

	if (errors == NULL)
		return true;
	int status = options_load(server->options, &config, errors);
	if (status != 0) {
		/* What the system lacked for a moment is no fault of it. */
		rewind(errors);
		status = options_load(server->options, &config, errors);
	}
	fclose(errors);
	if (status == 0)
		config_free(config);
	else
		log_lines(reasons);
	free(reasons);
	return status == 0;
}

/*
 * A restart: what the service manager can keep for the next process stays open.
 * All else comes to its end as at a stop.
 */
static void
begin_restart(struct server *server)
{
	size_t places = handover_places(
	    (size_t)worker_pool_open(&server->pool));

	places += listener_set_stored(&server->roster);
	if (fdstore_size() > 0 && !another_can_start(server)) {
		log_warning("another process can't start with this "
			    "configuration: connections end");
		begin_stop(server);
		return;
	}
	if (fdstore_size() < places) {
		if (fdstore_size() > 0)
			log_warning("a restart wants %zu places of the service "
				    "manager's store, which has %zu: "
				    "connections end",
			    places, fdstore_size());
		begin_stop(server);
		return;
	}
	server->phase = STOPPING;
	server->leaving = true;
	server->deadline_ms = stop_deadline_ms(server);
	log_event(LOG_INFO, LOG_ID_STOP,
	    "stopping, for another process to go on");
	notify_stopping();
	listener_set_hand_over(&server->roster);
}

static void
stop_at_once(struct server *server)
{
	listener_set_drop_all(&server->roster);
	worker_pool_order(&server->pool, WORKER_ABORT);
	server->deadline_ms = UINT64_MAX;
}

static void
take_signal(struct server *server, const struct signalfd_siginfo *info)
{
	switch (info->ssi_signo) {
	case SIGUSR1:
		log_counters(server);
		break;
	case SIGHUP:
		take_reload(server, info);
		break;
	case SIGUSR2:
		if (server->phase == RUNNING)
			begin_restart(server);
		break;
	default:
		if (server->phase == RUNNING)
			begin_stop(server);
		else
			stop_at_once(server);
	}
}

/* One a turn: a reload may take long, and the watchdog waits. */
static void
take_next_signal(struct server *server)
{
	struct signalfd_siginfo info;

	if (read(server->signal_fd, &info, sizeof(info)) ==
	    (ssize_t)sizeof(info))
		take_signal(server, &info);
}

/* Who could not be let in yet must not cost those who are. */
static void
give_up_waiting(struct server *server)
{
	if (!server->leaving || server->finishing) {
		stop_at_once(server);
		return;
	}
	listener_set_drop_all(&server->roster);
	server->deadline_ms += (uint64_t)server->config->drain_timeout * 1000;
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

static int
start_pool(struct server *server)
{
	struct worker_pool *pool = &server->pool;
	const struct config *config = server->config;

	if (worker_pool_start(pool, config, config->max_connections) == -1)
		return -1;
	if (watch(server, pool->shared.room_fd, &pool->shared) == -1 ||
	    watch(server, pool->shared.done_fd, pool) == -1)
		return -1;
	return 0;
}

/* Gives the connections of list to the workers. */
static void
serve_list(struct server *server, struct conn_list *list)
{
	struct conn *conn;

	while ((conn = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, conn, link);
		worker_pool_dispatch(&server->pool, conn);
	}
}

/*
 * Leaves the connections, which the workers have set aside, to the next process.
 * Those that can't be left come to their end here as at a stop; false: there are
 * none.
 */
static bool
leave(struct server *server)
{
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	struct conn *conn;
	bool at_once = server->deadline_ms == UINT64_MAX;

	server->leaving = false;
	worker_pool_join(&server->pool, &server->counters, &list);
	handover_store(&list, &server->counters);
	if (TAILQ_EMPTY(&list))
		return false;
	if (!at_once && start_pool(server) == 0) {
		serve_list(server, &list);
		worker_pool_order(&server->pool, WORKER_FINISH);
		server->deadline_ms = stop_deadline_ms(server);
		return true;
	}
	while ((conn = TAILQ_FIRST(&list)) != NULL) {
		TAILQ_REMOVE(&list, conn, link);
		conn_close(conn, &server->counters, CLOSE_ERROR, clock_ms());
	}
	return false;
}

static void
go_on_stopping(struct server *server)
{
	if (clock_ms() >= server->deadline_ms) {
		log_warning("drain_timeout is over: closing what is open");
		give_up_waiting(server);
	}
	if (listener_set_is_empty(&server->roster) && !server->finishing) {
		worker_pool_order(&server->pool,
		    server->leaving ? WORKER_HAND_OVER : WORKER_FINISH);
		server->finishing = true;
	}
	if (server->pool.running == 0 && !(server->leaving && leave(server)))
		server->phase = ENDED;
}

/* Of two waits in milliseconds; -1 is one without end. */
static int
sooner(int a, int b)
{
	if (a == -1 || b == -1)
		return a == -1 ? b : a;
	return a < b ? a : b;
}

static int
wait_ms(const struct server *server)
{
	uint64_t now_ms = clock_ms();
	int wait = sooner(acceptor_wait_ms(&server->roster.acceptor, now_ms),
	    watchdog_wait_ms(&server->pulse, now_ms));

	if (server->phase != STOPPING || server->deadline_ms == UINT64_MAX)
		return wait;
	uint64_t left = server->deadline_ms > now_ms
	                  ? server->deadline_ms - now_ms
	                  : 0;
	return sooner(wait, (int)left);
}

/* Signals come last: they may end a listener that still has an event here. */
static void
wait_and_handle(struct server *server)
{
	struct epoll_event events[EVENTS_MAX];
	bool signalled = false;
	int n = epoll_wait(server->epoll_fd, events, EVENTS_MAX,
	    wait_ms(server));

	acceptor_note_time(&server->roster.acceptor, clock_ms());
	for (int i = 0; i < n; i++) {
		void *source = events[i].data.ptr;
		if (source == &server->signal_fd)
			signalled = true;
		else if (source == &server->pool.shared)
			acceptor_note_room(&server->roster.acceptor);
		else if (source == &server->pool)
			worker_pool_note_done(&server->pool);
		else
			acceptor_accept(&server->roster.acceptor, source);
	}
	if (signalled)
		take_next_signal(server);
	watchdog_beat(&server->pulse, clock_ms(), total_counters, server);
	listener_set_drop_drained(&server->roster);
	if (server->phase == STOPPING)
		go_on_stopping(server);
}

static int
open_fds(struct server *server)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	server->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->signal_fd == -1 || server->epoll_fd == -1)
		return -1;
	server->roster.acceptor.epoll_fd = server->epoll_fd;
	return watch(server, server->signal_fd, &server->signal_fd);
}

static void
end_pool(struct server *server)
{
	struct conn_list none = TAILQ_HEAD_INITIALIZER(none);

	stop_at_once(server);
	worker_pool_join(&server->pool, &server->counters, &none);
}

static void
close_all(struct server *server)
{
	end_pool(server);
	fdstore_free(server->passed, server->passed_count);
	if (server->epoll_fd != -1)
		close(server->epoll_fd);
	if (server->signal_fd != -1)
		close(server->signal_fd);
	config_free(server->config);
}

/* The exit status when that fails. */
static int
open_listeners(struct server *server)
{
	char *text = NULL;
	size_t len;
	FILE *errors = open_memstream(&text, &len);

	if (errors == NULL) {
		log_error("cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	listener_set_inherit(&server->roster, server->passed,
	    server->passed_count);
	int status = listener_set_reload(&server->roster, server->config,
			 errors) == 0
	               ? 0
	               : exit_status(errno);
	fclose(errors);
	log_lines(text);
	free(text);
	return status;
}

/* Goes on with the connections that the process before this one left. */
static void
take_over(struct server *server)
{
	struct conn_list list = TAILQ_HEAD_INITIALIZER(list);
	struct conn *conn;

	handover_restore(server->passed, server->passed_count, &list,
	    &server->counters);
	/* What could not be taken is to be closed for its clients too. */
	fdstore_free(server->passed, server->passed_count);
	server->passed = NULL;
	server->passed_count = 0;
	if (log_enabled(LOG_DEBUG))
		TAILQ_FOREACH (conn, &list, link)
			conn_announce(conn);
	serve_list(server, &list);
}

int
server_run(struct config *config, const struct options *options)
{
	struct server server = {
		.options = options,
		.local_tz = getenv("TZ"),
		.epoll_fd = -1,
		.signal_fd = -1,
	};
	int status = 0;

	use_config(&server, config);
	raise_file_limit();
	server.passed = fdstore_receive(&server.passed_count);
	listener_set_init(&server.roster, -1, &server.pool, &server.counters);
	if (server.passed == NULL || open_fds(&server) == -1 ||
	    start_pool(&server) == -1) {
		log_error("cannot start: %s", strerror(errno));
		status = EX_OSERR;
		goto out;
	}
	if ((status = open_listeners(&server)) != 0)
		goto out;
	worker_pool_set_max(&server.pool, fit_connections(&server));
	take_over(&server);
	log_about(LOG_INFO, &(struct log_about){ .message_id = LOG_ID_START },
	    "ready: %d workers, at most %d connections", server.pool.count,
	    server.pool.max_connections);
	watchdog_start(&server.pulse, &server.pool, &server.roster, clock_ms());
	notify_ready();
	while (server.phase != ENDED)
		wait_and_handle(&server);
	end_pool(&server);
	log_counters(&server);
	log_info("stopped");
out:
	close_all(&server);
	return status;
}
