#include "listen/listener_set.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/message.h"
#include "datagram/datagram.h"
#include "datagram/unix_peer.h"
#include "listen/numbering.h"
#include "listen/plan.h"
#include "net/sockopt.h"
#include "stamp/framing.h"

/* The watchdog gets no answer meanwhile: WatchdogSec= must be twice as long. */
#define RESOLVE_MS 10000 /* for all host names of a configuration */

void
listener_set_init(struct listener_set *set, struct worker_pool *pool,
    struct counters *counters)
{
	*set = (struct listener_set){
		.done_fd = -1,
		.acceptor = {
			.epoll_fd = -1,
			.listeners = &set->listeners,
			.pool = pool,
			.counters = counters,
		},
	};
	TAILQ_INIT(&set->listeners);
}

int
listener_set_open(struct listener_set *set, int epoll_fd)
{
	set->acceptor.epoll_fd = epoll_fd;
	set->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return set->done_fd == -1 ? -1 : 0;
}

/* All that config asks for; the built-in ones only if no socket was passed. */
static int
resolve_all(const struct listener_set *set, const struct config *config,
    struct listener_list *wanted, FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	uint64_t deadline_ms = clock_ms() + RESOLVE_MS;
	const struct listener *open;
	int problem = 0;

	TAILQ_FOREACH (open, &set->listeners, link)
		if (config->built_in_listeners && open->origin == ORIGIN_PASSED)
			return 0;
	for (size_t i = 0; i < config->listener_count; i++)
		if (listener_resolve(&config->listeners[i], wanted, deadline_ms,
			error) == -1) {
			problem = errno;
			message_print(errors, "%s\n", error);
		}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

void
listener_set_inherit(struct listener_set *set, struct fdstore_fd *fds,
    size_t count)
{
	char error[LISTENER_ERROR_MAX];

	for (size_t i = 0; i < count; i++) {
		if (fds[i].fd == -1 ||
		    strcmp(fds[i].name, FDSTORE_CONNECTIONS) == 0)
			continue;
		if (listener_inherit(fds[i].fd, fds[i].name, &set->listeners,
			error) == -1)
			log_error("%s", error);
		fds[i].fd = -1;
	}
}

/* The UDP ports of this server, to be freed; NULL: out of memory.  What drains
 * receives nothing new: its port may be a client's from now on. */
static uint16_t *
list_ports(const struct listener_set *set, size_t *count)
{
	const struct listener *listener;
	size_t max = 0;

	TAILQ_FOREACH (listener, &set->listeners, link)
		max++;
	uint16_t *ports = calloc(max + 1, sizeof(*ports));
	*count = 0;
	if (ports == NULL)
		return NULL;
	TAILQ_FOREACH (listener, &set->listeners, link) {
		uint16_t port = sockaddr_port(&listener->bound);
		/* Siblings stand together. */
		if (listener->config.protocol == PROTOCOL_UDP &&
		    listener->state != LISTENER_DRAINING &&
		    (*count == 0 || ports[*count - 1] != port))
			ports[(*count)++] = port;
	}
	return ports;
}

/* Gives settings to the listener; starts serving it if it is not served yet. */
static int
serve_or_configure(struct listener_set *set, struct listener *listener,
    const struct config *config, struct datagram_settings *settings)
{
	if (!protocol_is_datagram(listener->config.protocol)) {
		if (listener->profile == 0)
			listener->profile = numbering_choose(&set->listeners,
			    &set->last_profile);
		int rc = acceptor_add(&set->acceptor, listener);
		/* TCP connections inherit it. */
		return rc | sockopt_set(listener->fd, SOL_SOCKET,
				SO_TIMESTAMPNS, settings->arrival);
	}
	config_make_stamp(config, &listener->config, &settings->stamp);
	settings->max_datagram = listener->config.max_datagram;
	settings->abstract_clients = listener->config.abstract_clients;
	settings->access = listener->config.access != NULL
	                     ? listener->config.access
	                     : config->access;
	if (listener->datagram != NULL)
		return datagram_configure(listener->datagram, settings);
	listener->datagram = datagram_start(set->datagram_number++,
	    listener->fd, listener->config.protocol, settings, set->done_fd);
	return listener->datagram != NULL ? 0 : -1;
}

/* All listeners, or all but those that serve already. */
static int
configure_all(struct listener_set *set, const struct config *config,
    bool with_serving)
{
	struct datagram_settings settings = {
		.arrival = config->arrival,
		.rate_limit = config->rate_limit,
		.rate_burst = config->rate_burst,
	};
	struct listener *listener;
	uint16_t *ports = list_ports(set, &settings.port_count);
	int problem = 0;

	if (ports == NULL)
		return -1;
	settings.ports = ports;
	TAILQ_FOREACH (listener, &set->listeners, link)
		if ((with_serving || listener->state != LISTENER_SERVING) &&
		    serve_or_configure(set, listener, config, &settings) ==
			-1 &&
		    problem == 0)
			problem = errno;
	free(ports);
	errno = problem;
	return problem == 0 ? 0 : -1;
}

int
listener_set_configure(struct listener_set *set, const struct config *config)
{
	int rc = configure_all(set, config, true), problem = errno;

	if (numbering_configure(&set->listeners, set->acceptor.pool, config,
		&set->profiles) == -1)
		return -1;
	errno = problem;
	return rc;
}

/* Whose a client's path is can't be seen in a user namespace without users. */
static void
warn_of_few_users(const struct listener *listener)
{
	struct log_about about = { .listener = listener->name };
	struct users users;

	if (!listener->config.abstract_clients && users_read(&users) == 0 &&
	    users_are_few(&users))
		log_about(LOG_WARNING, &about,
		    "%s: answers root alone, because PrivateUsers= hides the "
		    "other users; set PrivateUsers=no, or abstract_clients = "
		    "true for clients that bind abstract names",
		    listener->name);
}

/* Only the first of several siblings is logged. */
static void
announce(const struct listener *listener)
{
	struct log_about about = { .listener = listener->name };
	char detail[64] = "";
	enum proxy_mode proxy = listener->config.proxy;
	bool has_proxy = proxy != PROXY_OFF;

	if (listener->number > 0)
		return;
	if (!protocol_is_datagram(listener->config.protocol))
		snprintf(detail, sizeof(detail), ", %s framing%s%s",
		    framing_name(listener->config.framing),
		    has_proxy ? ", proxy_protocol " : "",
		    has_proxy ? listener_config_proxy_name(proxy) : "");
	else if (listener->config.threads > 1)
		snprintf(detail, sizeof(detail), ", %d threads",
		    listener->config.threads);
	log_about(LOG_INFO, &about, "listening on %s%s", listener->name,
	    detail);
	if (listener->config.protocol == PROTOCOL_UNIX_DGRAM)
		warn_of_few_users(listener);
}

/* Whether its datagram thread has ended; the first call orders it to end. */
static bool
end_datagram(struct listener *listener)
{
	if (!listener->is_ending) {
		/* A datagram between the last receive and close(2) would be
		 * lost. */
		if (listener->state == LISTENER_DRAINING)
			listener_divert(listener);
		listener->is_ending = true;
		listener->state = LISTENER_DRAINING;
		datagram_order_end(listener->datagram);
	}
	return datagram_has_ended(listener->datagram);
}

/* Returns the one after it.  Call again while a datagram thread runs. */
static struct listener *
close_listener(struct listener_set *set, struct listener *listener)
{
	struct listener *next = TAILQ_NEXT(listener, link);

	if (listener->datagram != NULL && !end_datagram(listener))
		return next;
	if (listener->datagram != NULL)
		datagram_join(listener->datagram, set->acceptor.counters);
	else if (!protocol_is_datagram(listener->config.protocol))
		acceptor_remove(&set->acceptor, listener);
	TAILQ_REMOVE(&set->listeners, listener, link);
	listener_free(listener);
	return next;
}

static void
take_wanted_settings(struct listener *listener, const struct listener *wanted)
{
	struct log_about about = { .listener = listener->name };

	if (listener->state == LISTENER_SERVING &&
	    listener->origin != ORIGIN_PASSED && listener->number == 0 &&
	    listener->config.threads != wanted->config.threads)
		log_about(LOG_WARNING, &about,
		    "%s: threads = %d takes effect after a restart",
		    listener->name, wanted->config.threads);
	if (listener_update(listener, wanted) != 0)
		log_about(LOG_WARNING, &about,
		    "%s: some of its new settings have no effect: %s",
		    listener->name,
		    errno == ESTALE ? "its path leads to another file"
				    : strerror(errno));
}

/* Keeps and drains as planned those in this state.  Whether one drains now. */
static bool
keep_and_drain(const struct plan_step *step, enum listener_state state)
{
	bool drains = false;

	for (; step->listener != NULL; step++) {
		struct listener *listener = step->listener;
		struct log_about about = { .listener = listener->name };
		if (listener->state != state || step->action > PLAN_DRAIN)
			continue;
		/* A surplus thread answers what it has as its siblings do. */
		if (step->action == PLAN_KEEP || step->other != NULL)
			take_wanted_settings(listener, step->other);
		else if (listener->number == 0)
			log_about(LOG_INFO, &about, "no longer listening on %s",
			    listener->name);
		if (step->action == PLAN_DRAIN) {
			listener_drain(listener);
			drains = true;
		}
	}
	return drains;
}

/* Says so in error if another socket of this server has the address. */
static void
blame(const struct listener_set *set, const struct plan_step *step, char *error)
{
	const struct listener *listener = step->listener;

	if (step->action == PLAN_NEEDS_RESTART)
		listener_fail(listener, error,
		    "needs a restart: %s of this server is in the way",
		    step->other->name);
	else if (set->http != NULL && plan_is_in_the_way(set->http, listener))
		listener_fail(listener, error,
		    "%shttp at %s of this server is in the way",
		    set->is_http_leaving ? "needs a restart: " : "",
		    strchr(set->http->name, ' ') + 1);
	else if (step->action == PLAN_PASSED_IN_WAY)
		listener_fail(listener, error,
		    "%s, which was passed, is in the way; change the socket "
		    "unit or this listener",
		    step->other->name);
}

/* -1 with errno and a line in errors. */
static int
open_one(const struct listener_set *set, const struct plan_step *step,
    FILE *errors)
{
	struct listener *listener = step->listener;
	const struct listener *other = step->other;
	char error[LISTENER_ERROR_MAX];

	errno = EADDRINUSE;
	if (step->action == PLAN_WANTED_TWICE)
		listener_fail(listener, error, "is the same as the one at %s",
		    other->config.where);
	else if (listener_open(listener,
		     step->action == PLAN_OPEN_BESIDE ? other : NULL,
		     error) == 0)
		return 0;
	int problem = errno;
	if (problem == EADDRINUSE)
		blame(set, step, error);
	message_print(errors, "%s", error);
	if ((problem == EACCES || problem == EPERM) && set->user.gave_up_root)
		fprintf(errors,
		    "; the server gave up root for user \"%s\" at its start: "
		    "restart it",
		    set->user.name);
	fputc('\n', errors);
	errno = problem;
	return -1;
}

/* Moves those that it opens from wanted to the set. */
static int
open_all(struct listener_set *set, const struct plan_step *step,
    struct listener_list *wanted, FILE *errors)
{
	int problem = 0;

	for (; step->listener != NULL; step++) {
		struct listener *listener = step->listener;
		/* The fault of one sibling is that of all: report it once. */
		if (step->action < PLAN_OPEN ||
		    (problem != 0 && listener->number > 0))
			continue;
		if (open_one(set, step, errors) == 0) {
			TAILQ_REMOVE(wanted, listener, link);
			TAILQ_INSERT_TAIL(&set->listeners, listener, link);
		} else {
			problem = errno;
		}
	}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

static int
carry_out(struct listener_set *set, const struct plan_step *plan,
    struct listener_list *wanted, const struct config *config, FILE *errors)
{
	struct listener *listener;

	user_give_sockets(&set->user, config, &set->listeners);
	user_give_sockets(&set->user, config, wanted);
	/* No client is served yet at inherited sockets: they change first.  The
	 * manager must have closed its duplicate of one that drains before we
	 * do, or datagrams would go on arriving in it. */
	if (keep_and_drain(plan, LISTENER_READY))
		fdstore_sync();
	if (open_all(set, plan, wanted, errors) == -1)
		return -1;
	if (user_settle(&set->user, config, &set->listeners, errors) == -1)
		return -1;
	if (configure_all(set, config, false) == -1) {
		fprintf(errors, "serving a new listener: %m\n");
		return -1;
	}
	acceptor_use_access(&set->acceptor, config->access);
	keep_and_drain(plan, LISTENER_SERVING);
	TAILQ_FOREACH (listener, &set->listeners, link)
		if (listener->state == LISTENER_READY) {
			listener->state = LISTENER_SERVING;
			announce(listener);
			listener_store(listener);
		}
	listener_set_drop_drained(set);
	return 0;
}

/* Drops those that a reload opened in vain. */
static void
undo(struct listener_set *set)
{
	struct listener *at = TAILQ_FIRST(&set->listeners);

	while (at != NULL) {
		bool is_new = at->origin == ORIGIN_OWN &&
		              at->state == LISTENER_READY;
		/* Its address is free at once, its thread ends later. */
		if (is_new)
			listener_drain(at);
		at = is_new ? close_listener(set, at) : TAILQ_NEXT(at, link);
	}
}

int
listener_set_reload(struct listener_set *set, const struct config *config,
    FILE *errors)
{
	struct listener_list wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct plan_step *plan = NULL;
	int rc = resolve_all(set, config, &wanted, errors);

	if (rc == 0 && (plan = plan_make(&set->listeners, &wanted)) == NULL) {
		fprintf(errors, "listeners: %m\n");
		rc = -1;
	}
	if (rc == 0)
		rc = carry_out(set, plan, &wanted, config, errors);
	int saved_errno = errno;
	if (rc == -1)
		undo(set);
	free(plan);
	listener_free_all(&wanted);
	errno = saved_errno;
	return rc;
}

void
listener_set_drop_drained(struct listener_set *set)
{
	struct listener *at = TAILQ_FIRST(&set->listeners);

	while (at != NULL)
		at = at->state == LISTENER_DRAINING &&
		             (protocol_is_datagram(at->config.protocol) ||
				 !acceptor_accept(&set->acceptor, at))
		       ? close_listener(set, at)
		       : TAILQ_NEXT(at, link);
}

void
listener_set_drain(struct listener_set *set)
{
	struct listener *at = TAILQ_FIRST(&set->listeners);

	while (at != NULL) {
		if (at->origin != ORIGIN_PASSED &&
		    at->state != LISTENER_DRAINING)
			listener_drain(at);
		at = at->origin == ORIGIN_PASSED ? close_listener(set, at)
		                                 : TAILQ_NEXT(at, link);
	}
}

void
listener_set_hand_over(struct listener_set *set)
{
	struct listener *at = TAILQ_FIRST(&set->listeners);

	while (at != NULL)
		at = at->store_name[0] != '\0' ? close_listener(set, at)
		                               : TAILQ_NEXT(at, link);
	listener_set_drain(set);
}

size_t
listener_set_count_stored(const struct listener_set *set)
{
	const struct listener *listener;
	size_t count = 0;

	TAILQ_FOREACH (listener, &set->listeners, link)
		count += listener->store_name[0] != '\0';
	return count;
}

void
listener_set_drop_all(struct listener_set *set)
{
	struct listener *at = TAILQ_FIRST(&set->listeners);

	while (at != NULL)
		at = close_listener(set, at);
}

void
listener_set_note_done(struct listener_set *set)
{
	eventfd_t ended;

	/* Each says itself whether it has ended. */
	eventfd_read(set->done_fd, &ended);
}

bool
listener_set_end(struct listener_set *set, uint64_t deadline_ms)
{
	struct pollfd done = { .fd = set->done_fd, .events = POLLIN };
	const struct listener *left;
	uint64_t now_ms = clock_ms();

	listener_set_drop_all(set);
	for (; !TAILQ_EMPTY(&set->listeners) && now_ms < deadline_ms;
	     now_ms = clock_ms()) {
		poll(&done, 1, (int)(deadline_ms - now_ms));
		listener_set_note_done(set);
		listener_set_drop_all(set);
	}
	TAILQ_FOREACH (left, &set->listeners, link)
		log_error("%s: thread %s does not end: left behind", left->name,
		    datagram_name(left->datagram));
	if (TAILQ_EMPTY(&set->listeners) && set->done_fd != -1)
		close(set->done_fd);
	return TAILQ_EMPTY(&set->listeners);
}

void
listener_set_free(struct listener_set *set)
{
	sources_free(&set->acceptor.sources);
	profiles_free(&set->profiles);
	acceptor_use_access(&set->acceptor, NULL);
}

bool
listener_set_is_empty(const struct listener_set *set)
{
	return TAILQ_EMPTY(&set->listeners);
}

void
listener_set_add_counters(const struct listener_set *set, struct counters *sum)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &set->listeners, link)
		if (listener->datagram != NULL)
			counters_sum(sum,
			    datagram_counters(listener->datagram));
}

size_t
listener_set_count_fds(const struct listener_set *set)
{
	const struct listener *listener;
	size_t count = 0;

	/* A datagram thread has an eventfd besides. */
	TAILQ_FOREACH (listener, &set->listeners, link) {
		count += 1 + protocol_is_datagram(listener->config.protocol);
		if (listener->config.protocol == PROTOCOL_UNIX_DGRAM)
			count += UNIX_PEER_FDS_MAX;
	}
	return count;
}

bool
listener_set_ping(struct listener_set *set)
{
	struct listener *listener;
	bool responsive = true;

	TAILQ_FOREACH (listener, &set->listeners, link)
		if (listener->datagram != NULL) {
			responsive &= datagram_is_responsive(
			    listener->datagram);
			datagram_ping(listener->datagram);
		}
	return responsive;
}
