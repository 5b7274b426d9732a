#include "listen/listener_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "datagram/datagram.h"
#include "datagram/unix_peer.h"
#include "net/cmsg.h"
#include "net/sockopt.h"

/*
 * For all host names of a configuration.  The main thread shows no sign of life
 * meanwhile: the watchdog's patience is to be more than twice that.
 */
#define RESOLVE_MS 10000

void
listener_set_init(struct listener_set *roster, int epoll_fd,
    struct worker_pool *pool, struct counters *counters)
{
	*roster = (struct listener_set){
		.counters = counters,
		.acceptor = {
			.epoll_fd = epoll_fd,
			.listeners = &roster->listeners,
			.pool = pool,
			.counters = counters,
		},
	};
	TAILQ_INIT(&roster->listeners);
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

	TAILQ_FOREACH (listener, list, link) {
		uint16_t port = sockaddr_port(&listener->bound);
		if (listener->protocol != PROTOCOL_UDP || listener->fd == -1)
			continue;
		/* Those of one listener stand together. */
		if (count == 0 || ports[count - 1] != port)
			ports[count++] = port;
	}
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
    struct datagram_settings *settings, uint16_t **ports)
{
	*ports = calloc(list_length(list) + 1, sizeof(**ports));
	if (*ports == NULL)
		return -1;
	*settings = (struct datagram_settings){
		.stamp = config->stamp,
		.arrival = config->arrival,
		.rate_limit = config->rate_limit,
		.rate_burst = config->rate_burst,
		.ports = *ports,
		.port_count = udp_ports(list, *ports),
	};
	return 0;
}

int
listener_set_set(struct listener_set *roster, const struct config *config)
{
	struct datagram_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(config, &roster->listeners, &settings,
	    &ports);

	if (rc == 0)
		TAILQ_FOREACH (listener, &roster->listeners, link) {
			if (listener->udp != NULL) {
				settings.max_datagram = listener->max_datagram;
				rc |= datagram_set(listener->udp, &settings);
			} else {
				rc |= sockopt_set_arrival(listener->fd,
				    config->arrival);
			}
		}
	free(ports);
	return rc == 0 ? 0 : -1;
}

/* Of those that share an address, the first speaks for all. */
static void
announce(const struct listener *listener)
{
	struct log_about about = { .listener = listener->name };

	if (listener->number > 0)
		return;
	if (!is_datagram(listener))
		log_about(LOG_INFO, &about, "listening on %s, %s framing",
		    listener->name, framing_name(listener->framing));
	else if (listener->threads > 1)
		log_about(LOG_INFO, &about, "listening on %s, %d threads",
		    listener->name, listener->threads);
	else
		log_about(LOG_INFO, &about, "listening on %s", listener->name);
}

/* All that config asks for, not open yet. */
static int
resolve_all(const struct config *config, struct listener_list *list,
    FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	uint64_t deadline_ms = clock_ms() + RESOLVE_MS;
	int problem = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		if (listener_resolve(&config->listeners[i], list, deadline_ms,
			error) == -1) {
			problem = errno;
			fprintf(errors, "%s\n", error);
		}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

void
listener_set_adopt(struct listener_set *roster, struct fdstore_fd *fds,
    size_t count)
{
	char error[LISTENER_ERROR_MAX];

	for (size_t i = 0; i < count; i++) {
		if (fds[i].fd == -1 ||
		    strcmp(fds[i].name, FDSTORE_CONNECTIONS) == 0)
			continue;
		if (listener_adopt(fds[i].fd, fds[i].name, &roster->listeners,
			error) == -1)
			log_error("%s", error);
		fds[i].fd = -1;
	}
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

/* The settings for listener, which is open; NULL where there are none. */
static const struct listener *
find_settings(struct listener_list *wanted, const struct listener *listener)
{
	const struct listener *at;

	TAILQ_FOREACH (at, wanted, link)
		if (listener_is_named(listener, at))
			return at;
	TAILQ_FOREACH (at, wanted, link)
		if (listener_serves(listener, at))
			return at;
	return NULL;
}

/* Whether a socket that was passed has the name that wanted asks for. */
static bool
is_passed_by_name(const struct listener_set *roster,
    const struct listener *wanted)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener_is_named(listener, wanted))
			return true;
	return false;
}

/* Whether clients reach us at wanted by a socket that is open already. */
static bool
is_served(const struct listener_set *roster, const struct listener *wanted)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (!listener->refusing &&
		    (listener_is_named(listener, wanted) ||
			listener_serves(listener, wanted)))
			return true;
	return false;
}

/* One that is open and shares its address with wanted, or NULL. */
static struct listener *
find_sibling(struct listener_list *list, const struct listener *wanted)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, list, link)
		if (listener->fd != -1 && !listener->passed &&
		    listener_is_sibling(listener, wanted))
			return listener;
	return NULL;
}

/* Whether wanted, TCP or UDP, can't be bound while own is. */
static bool
overlap(const struct listener *own, const struct listener *wanted)
{
	if (own->protocol != wanted->protocol ||
	    sockaddr_port(&own->bound) != sockaddr_port(&wanted->wanted))
		return false;
	return sockaddr_is_any(&own->bound) ||
	       sockaddr_is_any(&wanted->wanted) ||
	       sockaddr_equal(&own->bound, &wanted->wanted);
}

/* Whether listener fails because of one of our own that is to go. */
static bool
is_in_our_way(struct listener_set *roster, struct listener_list *wanted,
    const struct listener *listener)
{
	const struct listener *own;

	TAILQ_FOREACH (own, &roster->listeners, link)
		if (!own->passed &&
		    (own->refusing || find_settings(wanted, own) == NULL) &&
		    (protocol_is_unix(listener->protocol)
			    ? sockaddr_equal(&own->wanted, &listener->wanted)
			    : overlap(own, listener)))
			return true;
	return false;
}

static bool
is_in_way_of_passed(const struct listener_set *roster,
    const struct listener *listener)
{
	const struct listener *own;

	TAILQ_FOREACH (own, &roster->listeners, link)
		if (own->passed && overlap(own, listener))
			return true;
	return false;
}

/* -1 after having said why. */
static int
open_one(struct listener_set *roster, struct listener_list *wanted,
    struct listener *listener, FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	const struct listener *twin = find_same(wanted, listener, listener);

	/* One that goes by its name may leave its address at the default. */
	if (twin != NULL && !is_passed_by_name(roster, listener) &&
	    !is_passed_by_name(roster, twin)) {
		fprintf(errors, "%s: %s: is the same as the one at %s\n",
		    listener->where, listener->name, twin->where);
		errno = EADDRINUSE;
		return -1;
	}
	if (is_served(roster, listener))
		return 0;
	struct listener *sibling = find_sibling(&roster->listeners, listener);
	if (sibling == NULL)
		sibling = find_sibling(wanted, listener);
	if (listener_open(listener, sibling, error) == 0)
		return 0;
	int problem = errno;
	if (problem == EADDRINUSE && is_in_our_way(roster, wanted, listener))
		fprintf(errors,
		    "%s: %s: wants a restart: this server has a listener "
		    "in its way\n",
		    listener->where, listener->name);
	else if (problem == EADDRINUSE && is_in_way_of_passed(roster, listener))
		fprintf(errors,
		    "%s: %s: a socket that was passed is in its way; change "
		    "the socket unit or the listener\n",
		    listener->where, listener->name);
	else
		fprintf(errors, "%s\n", error);
	errno = problem;
	return -1;
}

/* Opens what is wanted and not open in the server already. */
static int
open_all(struct listener_set *roster, struct listener_list *wanted,
    FILE *errors)
{
	struct listener *listener;
	int problem = 0;

	TAILQ_FOREACH (listener, wanted, link)
		if (listener->number == 0 &&
		    open_one(roster, wanted, listener, errors) == -1)
			problem = errno;
	/* Nothing is to come to them before they are served. */
	TAILQ_FOREACH (listener, wanted, link) {
		if (problem != 0 || listener->number == 0)
			continue;
		if (open_one(roster, wanted, listener, errors) == -1)
			problem = errno;
		else if (listener->fd != -1)
			sockopt_gather(listener->fd);
	}
	errno = problem;
	return problem == 0 ? 0 : -1;
}

static int
serve_one(struct listener_set *roster, struct listener *listener,
    struct datagram_settings *settings)
{
	if (is_datagram(listener)) {
		settings->max_datagram = listener->max_datagram;
		listener->udp = datagram_start(roster->udp_number++,
		    listener->fd, listener->protocol, settings);
		listener->served = listener->udp != NULL;
	} else {
		/* Who connects from now on has its first data timed too. */
		sockopt_set_arrival(listener->fd, settings->arrival);
		listener->served = acceptor_add(&roster->acceptor, listener) ==
		                   0;
	}
	return listener->served ? 0 : -1;
}

/*
 * Lets clients in at those of list that are open and not served yet.  -1 after
 * having said why.
 */
static int
serve_all(struct listener_set *roster, struct listener_list *list,
    const struct config *config, FILE *errors)
{
	struct datagram_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(config, list, &settings, &ports);

	TAILQ_FOREACH (listener, list, link)
		if (rc == 0 && listener->fd != -1 && !listener->served)
			rc = serve_one(roster, listener, &settings);
	if (rc == -1)
		fprintf(errors, "serving a new listener: %s\n",
		    strerror(errno));
	free(ports);
	return rc;
}

static void
drop_listener(struct listener_set *roster, struct listener_list *list,
    struct listener *listener)
{
	if (listener->udp != NULL)
		datagram_stop(listener->udp, roster->counters);
	else if (listener->served)
		acceptor_remove(&roster->acceptor, listener);
	TAILQ_REMOVE(list, listener, link);
	listener_free(listener);
}

static void
drop_all(struct listener_set *roster, struct listener_list *list)
{
	while (!TAILQ_EMPTY(list))
		drop_listener(roster, list, TAILQ_FIRST(list));
}

/* Clients that the kernel has let in already are accepted by and by. */
static void
retire(struct listener_set *roster, struct listener *listener)
{
	listener_unstore(listener);
	if (is_datagram(listener) || listener->passed)
		drop_listener(roster, &roster->listeners, listener);
	else
		listener_drain(listener);
}

static void
retire_unwanted(struct listener_set *roster, struct listener *listener)
{
	struct log_about about = { .listener = listener->name };

	if (listener->number == 0)
		log_about(LOG_INFO, &about, "no longer listening on %s",
		    listener->name);
	retire(roster, listener);
}

void
listener_set_drop_drained(struct listener_set *roster)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->refusing &&
		    !acceptor_accept(&roster->acceptor, listener))
			drop_listener(roster, &roster->listeners, listener);
	}
}

static void
update(struct listener *listener, const struct listener *settings)
{
	struct log_about about = { .listener = listener->name };

	if (listener->served && !listener->passed && listener->number == 0 &&
	    listener->threads != settings->threads)
		log_about(LOG_INFO, &about, "%s: threads = %d from now on",
		    listener->name, settings->threads);
	if (listener_update(listener, settings) != 0)
		log_about(LOG_WARNING, &about,
		    "%s: not all of its new settings hold: %s", listener->name,
		    strerror(errno));
}

/* One at the same address, if that is wanted still; be it with fewer threads. */
static const struct listener *
find_wanted_sibling(const struct listener_list *wanted,
    const struct listener *listener)
{
	const struct listener *at;

	TAILQ_FOREACH (at, wanted, link)
		if (listener_is_sibling(at, listener))
			return at;
	return NULL;
}

/* New settings for the listeners that are wanted still or were passed. */
static void
update_listeners(struct listener_set *roster, struct listener_list *wanted)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link) {
		const struct listener *settings = find_settings(wanted,
		    listener);
		if (listener->refusing)
			continue;
		const struct listener *sibling = find_wanted_sibling(wanted,
		    listener);
		if (settings != NULL)
			update(listener, settings);
		else if (listener->passed)
			listener_reset(listener);
		else if (sibling != NULL)
			listener->max_datagram = sibling->max_datagram;
	}
}

/* Has nothing come any more to those whose siblings stay. */
static void
gather_others(struct listener_set *roster, struct listener_list *wanted)
{
	const struct listener *listener;
	bool any = false;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->number > 0 && !listener->passed &&
		    find_settings(wanted, listener) == NULL &&
		    find_wanted_sibling(wanted, listener) != NULL) {
			sockopt_gather(listener->fd);
			sockopt_deafen(listener->fd, &listener->bound);
			any = true;
		}
	if (any)
		sockopt_wait();
}

/* Those that are not wanted any more and were not passed. */
static void
retire_others(struct listener_set *roster, struct listener_list *wanted)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->refusing || listener->passed ||
		    find_settings(wanted, listener) != NULL)
			continue;
		retire_unwanted(roster, listener);
	}
}

/* Each thread that is left gets its part; no one else may have any. */
static void
settle_sharing(struct listener_set *roster)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link) {
		listener_limit_sharing(listener);
		if (listener->threads > 1)
			sockopt_spread(listener->fd);
	}
}

/* Adds what was opened to the listeners; the rest of wanted is served there. */
static void
take_in(struct listener_set *roster, struct listener_list *wanted)
{
	struct listener *listener;

	while ((listener = TAILQ_FIRST(wanted)) != NULL) {
		TAILQ_REMOVE(wanted, listener, link);
		if (listener->fd == -1) {
			listener_free(listener);
			continue;
		}
		announce(listener);
		listener_store(listener);
		TAILQ_INSERT_TAIL(&roster->listeners, listener, link);
	}
}

static bool
has_passed(const struct listener_set *roster)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->passed)
			return true;
	return false;
}

/*
 * Stored ones that are not wanted any more make way, after the clients that
 * wait there have been let in.
 */
static void
retire_adopted(struct listener_set *roster, struct listener_list *wanted)
{
	struct listener *listener, *next;
	bool any = false;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->served || listener->passed ||
		    find_settings(wanted, listener) != NULL ||
		    find_wanted_sibling(wanted, listener) != NULL)
			continue;
		any = true;
		bool has_clients = !is_datagram(listener);
		retire_unwanted(roster, listener);
		if (!has_clients)
			continue;
		while (!acceptor_is_paused(&roster->acceptor) &&
		       acceptor_accept(&roster->acceptor, listener))
			;
		drop_listener(roster, &roster->listeners, listener);
	}
	/* Its address is free only when the manager has let go of it too. */
	if (any)
		fdstore_sync();
}

/* After a start there are none, so a reload that has come here can't fail. */
static int
serve_adopted(struct listener_set *roster, const struct config *config,
    FILE *errors)
{
	const struct listener *listener;
	bool any = false;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (!listener->served && !listener->refusing) {
			announce(listener);
			any = true;
		}
	return any ? serve_all(roster, &roster->listeners, config, errors) : 0;
}

int
listener_set_reload(struct listener_set *roster, const struct config *config,
    FILE *errors)
{
	struct listener_list wanted = TAILQ_HEAD_INITIALIZER(wanted);
	bool none = config->built_in_listeners && has_passed(roster);

	if (!none && resolve_all(config, &wanted, errors) == -1)
		goto fail;
	retire_adopted(roster, &wanted);
	if (open_all(roster, &wanted, errors) == -1 ||
	    serve_all(roster, &wanted, config, errors) == -1)
		goto fail;
	update_listeners(roster, &wanted);
	int problem = serve_adopted(roster, config, errors) == -1 ? errno : 0;
	/* Also of what an adopted one has got already nothing is lost. */
	gather_others(roster, &wanted);
	retire_others(roster, &wanted);
	take_in(roster, &wanted);
	settle_sharing(roster);
	listener_set_drop_drained(roster);
	errno = problem;
	return problem == 0 ? 0 : -1;
fail:;
	int saved_errno = errno;
	drop_all(roster, &wanted);
	settle_sharing(roster);
	errno = saved_errno;
	return -1;
}

void
listener_set_drain(struct listener_set *roster)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (!listener->refusing)
			retire(roster, listener);
	}
}

void
listener_set_hand_over(struct listener_set *roster)
{
	struct listener *listener, *next;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->stored)
			drop_listener(roster, &roster->listeners, listener);
		else if (!listener->refusing)
			retire(roster, listener);
	}
}

size_t
listener_set_stored(const struct listener_set *roster)
{
	const struct listener *listener;
	size_t count = 0;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		count += listener->stored;
	return count;
}

void
listener_set_drop_all(struct listener_set *roster)
{
	drop_all(roster, &roster->listeners);
}

bool
listener_set_is_empty(const struct listener_set *roster)
{
	return TAILQ_EMPTY(&roster->listeners);
}

void
listener_set_count(const struct listener_set *roster, struct counters *sum)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL)
			counters_sum(sum, datagram_counters(listener->udp));
}

size_t
listener_set_fds(const struct listener_set *roster)
{
	const struct listener *listener;
	size_t count = 0;

	/* A datagram thread has an eventfd besides. */
	TAILQ_FOREACH (listener, &roster->listeners, link) {
		count += is_datagram(listener) ? 2 : 1;
		if (listener->protocol == PROTOCOL_UNIX_DGRAM)
			count += UNIX_PEER_MAX;
	}
	return count;
}

void
listener_set_ping(struct listener_set *roster)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL)
			datagram_ping(listener->udp);
}

bool
listener_set_is_responsive(const struct listener_set *roster)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL &&
		    !datagram_is_responsive(listener->udp))
			return false;
	return true;
}
