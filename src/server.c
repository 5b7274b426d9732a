#include "server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "acceptor.h"
#include "clock.h"
#include "control.h"
#include "counters.h"
#include "listener.h"
#include "log.h"
#include "notify.h"
#include "pool.h"
#include "pulse.h"
#include "stamp.h"
#include "udp.h"

#define EVENTS_MAX 64
#define FDS_A_WORKER 2
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
	int udp_number; /* of the next datagram thread */
	bool finishing; /* the workers know that no more will come */
	struct listener_list listeners;
	struct pool pool;
	struct acceptor acceptor;
	struct pulse pulse;
	char reasons[CONTROL_ANSWER_MAX]; /* why a reload is refused */
	struct counters
	    counters; /* of this thread, and of threads that ended */
};

static void complain(struct server *server, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* An error of the log that whoever asked for a reload is to hear as well. */
static void
complain(struct server *server, const char *format, ...)
{
	size_t len = strlen(server->reasons);
	char *line = server->reasons + len;
	size_t room = sizeof(server->reasons) - len;
	va_list args;

	va_start(args, format);
	vsnprintf(line, room - 1, format, args);
	va_end(args);
	log_error("%s", line);
	if (room > 2)
		strcat(line, "\n");
}

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

/*
 * As many connections as file descriptors allow, at most max_connections.
 */
static int
fit_connections(const struct config *config)
{
	rlim_t others = FDS_RESERVED + config->listener_count +
	                (rlim_t)pool_size(config) * FDS_A_WORKER;
	rlim_t wanted = (rlim_t)config->max_connections + others;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= wanted)
		return config->max_connections;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= wanted)
		return config->max_connections;
	int fitting = limit.rlim_cur > others ? (int)(limit.rlim_cur - others)
	                                      : 1;
	log_warning("max_connections = %d wants %llu file descriptors, but the "
		    "limit is %llu: clamped to %d; raise LimitNOFILE= or "
		    "ulimit -Hn",
	    config->max_connections, (unsigned long long)wanted,
	    (unsigned long long)limit.rlim_cur, fitting);
	return fitting;
}

static bool
is_datagram(const struct listener *listener)
{
	return protocol_is_datagram(listener->protocol);
}

static size_t
udp_ports(const struct listener_list *list, uint16_t *ports)
{
	const struct listener *listener;
	size_t count = 0;

	TAILQ_FOREACH (listener, list, link)
		if (listener->protocol == PROTOCOL_UDP && listener->fd != -1)
			ports[count++] = address_port(&listener->bound);
	return count;
}

static size_t
list_length(const struct listener_list *list)
{
	const struct listener *listener;
	size_t count = 0;

	TAILQ_FOREACH (listener, list, link)
		count++;
	return count;
}

/* What the thread of a datagram listener of list is to know; *ports to free. */
static int
datagram_settings(const struct config *config, const struct listener_list *list,
    struct udp_settings *settings, uint16_t **ports)
{
	*ports = calloc(list_length(list) + 1, sizeof(**ports));
	if (*ports == NULL)
		return -1;
	*settings = (struct udp_settings){
		.stamp = config->stamp,
		.rate_limit = config->rate_limit,
		.rate_burst = config->rate_burst,
		.ports = *ports,
		.port_count = udp_ports(list, *ports),
	};
	return 0;
}

/* Gives all datagram threads the settings of the configuration in use. */
static void
update_datagrams(struct server *server)
{
	struct udp_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(server->config, &server->listeners,
	    &settings, &ports);

	if (rc == 0)
		TAILQ_FOREACH (listener, &server->listeners, link)
			if (listener->udp != NULL) {
				settings.max_datagram = listener->max_datagram;
				rc |= udp_set(listener->udp, &settings);
			}
	if (rc != 0)
		log_error("a datagram thread keeps its old settings: %s",
		    strerror(errno));
	free(ports);
}

static void
announce(const struct listener *listener)
{
	if (is_datagram(listener))
		log_info("listening on %s", listener->name);
	else
		log_info("listening on %s, %s framing", listener->name,
		    framing_name(listener->framing));
}

/* All that config asks for, not open yet. */
static int
resolve_all(struct server *server, const struct config *config,
    struct listener_list *list)
{
	char error[LISTENER_ERROR_MAX];
	int problem = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		if (listener_resolve(&config->listeners[i], list, error) ==
		    -1) {
			problem = errno;
			complain(server, "%s", error);
		}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

/* The one before end in list that is the same, unless it refuses clients. */
static struct listener *
find_same(struct listener_list *list, const struct listener *wanted,
    const struct listener *end)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, list, link) {
		if (listener == end)
			break;
		if (!listener->refusing && listener_same(listener, wanted))
			return listener;
	}
	return NULL;
}

/* Whether listener fails because of one of our own that is to go. */
static bool
is_in_our_way(struct server *server, const struct listener *listener)
{
	const struct listener *own;

	TAILQ_FOREACH (own, &server->listeners, link)
		if (protocol_is_unix(listener->protocol)
			? address_equal(&own->wanted, &listener->wanted)
			: own->protocol == listener->protocol &&
			      address_port(&own->bound) ==
				  address_port(&listener->wanted))
			return true;
	return false;
}

/* -1 after having logged why. */
static int
open_one(struct server *server, struct listener_list *wanted,
    struct listener *listener)
{
	char error[LISTENER_ERROR_MAX];
	const struct listener *twin = find_same(wanted, listener, listener);

	if (twin != NULL) {
		complain(server, "%s: %s: is the same as the one at %s",
		    listener->where, listener->name, twin->where);
		errno = EADDRINUSE;
		return -1;
	}
	if (find_same(&server->listeners, listener, NULL) != NULL)
		return 0;
	if (listener_open(listener, error) == 0)
		return 0;
	int problem = errno;
	if (problem == EADDRINUSE && is_in_our_way(server, listener))
		complain(server,
		    "%s: %s: wants a restart: this server has a listener "
		    "in its way",
		    listener->where, listener->name);
	else
		complain(server, "%s", error);
	errno = problem;
	return -1;
}

/* Opens what is wanted and not open in the server already. */
static int
open_all(struct server *server, struct listener_list *wanted)
{
	struct listener *listener;
	int problem = 0;

	TAILQ_FOREACH (listener, wanted, link)
		if (open_one(server, wanted, listener) == -1)
			problem = errno;
	errno = problem;
	return problem == 0 ? 0 : -1;
}

static int
serve_one(struct server *server, struct listener *listener,
    struct udp_settings *settings)
{
	if (!is_datagram(listener))
		return acceptor_add(&server->acceptor, listener);
	settings->max_datagram = listener->max_datagram;
	listener->udp = udp_start(server->udp_number++, listener->fd,
	    listener->protocol, settings);
	return listener->udp == NULL ? -1 : 0;
}

/* Lets clients in at what was opened.  -1 after having logged why. */
static int
serve_all(struct server *server, struct listener_list *wanted,
    const struct config *config)
{
	struct udp_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(config, wanted, &settings, &ports);

	TAILQ_FOREACH (listener, wanted, link)
		if (rc == 0 && listener->fd != -1)
			rc = serve_one(server, listener, &settings);
	if (rc == -1)
		complain(server, "serving a new listener: %s", strerror(errno));
	free(ports);
	return rc;
}

static void
drop_listener(struct server *server, struct listener_list *list,
    struct listener *listener)
{
	if (listener->udp != NULL)
		udp_stop(listener->udp, &server->counters);
	TAILQ_REMOVE(list, listener, link);
	listener_free(listener);
}

static void
drop_all(struct server *server, struct listener_list *list)
{
	while (!TAILQ_EMPTY(list))
		drop_listener(server, list, TAILQ_FIRST(list));
}

/* Clients that the kernel has let in already are accepted by and by. */
static void
retire(struct server *server, struct listener *listener)
{
	if (is_datagram(listener))
		drop_listener(server, &server->listeners, listener);
	else
		listener_refuse(listener);
}

/* A listener that refuses new clients goes when the last old one is in. */
static void
drop_drained(struct server *server)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&server->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->refusing &&
		    !acceptor_accept(&server->acceptor, listener))
			drop_listener(server, &server->listeners, listener);
	}
}

/* Keeps the listeners that are wanted still, and retires the others. */
static void
update_listeners(struct server *server, struct listener_list *wanted)
{
	struct listener *listener, *next, *twin;

	for (listener = TAILQ_FIRST(&server->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->refusing)
			continue;
		twin = find_same(wanted, listener, NULL);
		if (twin == NULL) {
			log_info("no longer listening on %s", listener->name);
			retire(server, listener);
			continue;
		}
		if (listener_update(listener, twin) != 0)
			log_warning("%s: not all of its new settings hold: %s",
			    listener->name, strerror(errno));
		TAILQ_REMOVE(wanted, twin, link);
		listener_free(twin);
	}
}

/*
 * Makes the listeners those of config.  -1 with errno, after having logged why
 * and with nothing changed, when one of them can't be had.
 */
static int
change_listeners(struct server *server, const struct config *config)
{
	struct listener_list wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct listener *listener;

	if (resolve_all(server, config, &wanted) == -1 ||
	    open_all(server, &wanted) == -1 ||
	    serve_all(server, &wanted, config) == -1) {
		int saved_errno = errno;
		drop_all(server, &wanted);
		errno = saved_errno;
		return -1;
	}
	update_listeners(server, &wanted);
	drop_drained(server);
	TAILQ_FOREACH (listener, &wanted, link)
		announce(listener);
	TAILQ_CONCAT(&server->listeners, &wanted, link);
	return 0;
}

static void
log_lines(struct server *server, const char *text)
{
	while (*text != '\0') {
		const char *end = strchrnul(text, '\n');
		complain(server, "%.*s", (int)(end - text), text);
		text = *end == '\n' ? end + 1 : end;
	}
}

/* NULL after having logged every fault. */
static struct config *
load_config(struct server *server)
{
	struct config *config;
	char *text = NULL;
	size_t len;
	FILE *errors = open_memstream(&text, &len);

	if (errors == NULL)
		return NULL;
	int status = options_load(server->options, &config, errors);
	fclose(errors);
	if (status != 0 && text != NULL)
		log_lines(server, text);
	free(text);
	return status == 0 ? config : NULL;
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

static void
reload(struct server *server)
{
	server->reasons[0] = '\0';
	notify_reloading();
	struct config *config = load_config(server);

	if (config == NULL || change_listeners(server, config) == -1) {
		log_error("reload refused: all stays as it was");
		config_free(config);
		notify_ready();
		return;
	}
	if (pool_size(config) != server->pool.count)
		log_warning("workers: %d run until a restart",
		    server->pool.count);
	use_config(server, config);
	update_datagrams(server);
	slots_set_max(&server->pool.slots, fit_connections(config));
	if (pool_set(&server->pool, config) == -1)
		log_error("reload: a worker keeps its old settings: %s",
		    strerror(errno));
	log_info("reloaded");
	notify_ready();
}

static void
total_counters(const void *context, struct counters *sum)
{
	const struct server *server = context;
	const struct listener *listener;

	counters_sum(sum, &server->counters);
	pool_count(&server->pool, sum);
	TAILQ_FOREACH (listener, &server->listeners, link)
		if (listener->udp != NULL)
			counters_sum(sum, udp_counters(listener->udp));
}

static void
log_counters(const struct server *server)
{
	struct counters sum = { 0 };
	char text[COUNTERS_TEXT_MAX];

	total_counters(server, &sum);
	log_notice("counters: %s", counters_text(&sum, text, sizeof(text)));
}

static void
begin_stop(struct server *server)
{
	struct listener *listener, *next;

	server->phase = STOPPING;
	server->deadline_ms = clock_ms() +
	                      (uint64_t)server->config->drain_timeout * 1000;
	log_info("stopping");
	notify_stopping();
	for (listener = TAILQ_FIRST(&server->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (!listener->refusing)
			retire(server, listener);
	}
	pool_order(&server->pool, WORKER_DRAIN);
}

static void
stop_at_once(struct server *server)
{
	drop_all(server, &server->listeners);
	pool_order(&server->pool, WORKER_ABORT);
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
		if (server->phase == RUNNING)
			reload(server);
		if (info->ssi_code == SI_QUEUE)
			control_answer(info->ssi_int, server->reasons);
		break;
	default:
		if (server->phase == RUNNING)
			begin_stop(server);
		else
			stop_at_once(server);
	}
}

static void
take_signals(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signal_fd, &info, sizeof(info)) ==
	       (ssize_t)sizeof(info))
		take_signal(server, &info);
}

static void
go_on_stopping(struct server *server)
{
	if (clock_ms() >= server->deadline_ms) {
		log_warning("drain_timeout is over: closing what is open");
		stop_at_once(server);
	}
	if (TAILQ_EMPTY(&server->listeners) && !server->finishing) {
		pool_order(&server->pool, WORKER_FINISH);
		server->finishing = true;
	}
	if (server->pool.running == 0)
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
	int wait = sooner(acceptor_wait_ms(&server->acceptor, now_ms),
	    pulse_wait_ms(&server->pulse, now_ms));

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

	acceptor_note_time(&server->acceptor, clock_ms());
	for (int i = 0; i < n; i++) {
		void *source = events[i].data.ptr;
		if (source == &server->signal_fd)
			signalled = true;
		else if (source == &server->pool.slots)
			acceptor_note_room(&server->acceptor);
		else if (source == &server->pool)
			pool_note_done(&server->pool);
		else
			acceptor_accept(&server->acceptor, source);
	}
	if (signalled)
		take_signals(server);
	pulse_beat(&server->pulse, clock_ms(), total_counters, server);
	drop_drained(server);
	if (server->phase == STOPPING)
		go_on_stopping(server);
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
open_fds(struct server *server)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	server->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (server->signal_fd == -1 || server->epoll_fd == -1)
		return -1;
	return watch(server, server->signal_fd, &server->signal_fd);
}

static int
start_pool(struct server *server)
{
	struct pool *pool = &server->pool;
	const struct config *config = server->config;

	if (pool_start(pool, config, fit_connections(config)) == -1)
		return -1;
	if (watch(server, pool->slots.room_fd, &pool->slots) == -1 ||
	    watch(server, pool->done_fd, pool) == -1)
		return -1;
	server->acceptor = (struct acceptor){
		.epoll_fd = server->epoll_fd,
		.listeners = &server->listeners,
		.pool = pool,
		.counters = &server->counters,
	};
	return 0;
}

static void
close_all(struct server *server)
{
	stop_at_once(server);
	pool_join(&server->pool);
	if (server->epoll_fd != -1)
		close(server->epoll_fd);
	if (server->signal_fd != -1)
		close(server->signal_fd);
	config_free(server->config);
}

int
server_run(struct config *config, const struct options *options)
{
	struct server server = {
		.options = options,
		.local_tz = getenv("TZ"),
		.epoll_fd = -1,
		.signal_fd = -1,
		.pool = POOL_INITIALIZER,
	};
	int status = 0;

	TAILQ_INIT(&server.listeners);
	use_config(&server, config);
	if (open_fds(&server) == -1 || start_pool(&server) == -1) {
		log_error("cannot start: %s", strerror(errno));
		status = EX_OSERR;
		goto out;
	}
	if (change_listeners(&server, config) == -1) {
		status = exit_status(errno);
		goto out;
	}
	log_info("ready: %d workers, at most %d connections", server.pool.count,
	    server.pool.slots.max);
	pulse_start(&server.pulse, &server.pool, &server.listeners, clock_ms());
	notify_ready();
	while (server.phase != ENDED)
		wait_and_handle(&server);
	log_counters(&server);
	log_info("stopped");
out:
	close_all(&server);
	return status;
}
