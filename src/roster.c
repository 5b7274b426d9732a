#include "roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "udp.h"

void
roster_init(struct roster *roster, int epoll_fd, struct pool *pool,
    struct counters *counters)
{
	*roster = (struct roster){
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

int
roster_set(struct roster *roster, const struct config *config)
{
	struct udp_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(config, &roster->listeners, &settings,
	    &ports);

	if (rc == 0)
		TAILQ_FOREACH (listener, &roster->listeners, link)
			if (listener->udp != NULL) {
				settings.max_datagram = listener->max_datagram;
				rc |= udp_set(listener->udp, &settings);
			}
	free(ports);
	return rc == 0 ? 0 : -1;
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
resolve_all(const struct config *config, struct listener_list *list,
    FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	int problem = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		if (listener_resolve(&config->listeners[i], list, error) ==
		    -1) {
			problem = errno;
			fprintf(errors, "%s\n", error);
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

/* Whether wanted, TCP or UDP, can't be bound while own is. */
static bool
overlap(const struct listener *own, const struct listener *wanted)
{
	if (own->protocol != wanted->protocol ||
	    address_port(&own->bound) != address_port(&wanted->wanted))
		return false;
	return address_is_any(&own->bound) || address_is_any(&wanted->wanted) ||
	       address_equal(&own->bound, &wanted->wanted);
}

/* Whether listener fails because of one of our own that is to go. */
static bool
is_in_our_way(struct roster *roster, struct listener_list *wanted,
    const struct listener *listener)
{
	const struct listener *own;

	TAILQ_FOREACH (own, &roster->listeners, link)
		if ((own->refusing || find_same(wanted, own, NULL) == NULL) &&
		    (protocol_is_unix(listener->protocol)
			    ? address_equal(&own->wanted, &listener->wanted)
			    : overlap(own, listener)))
			return true;
	return false;
}

/* -1 after having said why. */
static int
open_one(struct roster *roster, struct listener_list *wanted,
    struct listener *listener, FILE *errors)
{
	char error[LISTENER_ERROR_MAX];
	const struct listener *twin = find_same(wanted, listener, listener);

	if (twin != NULL) {
		fprintf(errors, "%s: %s: is the same as the one at %s\n",
		    listener->where, listener->name, twin->where);
		errno = EADDRINUSE;
		return -1;
	}
	if (find_same(&roster->listeners, listener, NULL) != NULL)
		return 0;
	if (listener_open(listener, error) == 0)
		return 0;
	int problem = errno;
	if (problem == EADDRINUSE && is_in_our_way(roster, wanted, listener))
		fprintf(errors,
		    "%s: %s: wants a restart: this server has a listener "
		    "in its way\n",
		    listener->where, listener->name);
	else
		fprintf(errors, "%s\n", error);
	errno = problem;
	return -1;
}

/* Opens what is wanted and not open in the server already. */
static int
open_all(struct roster *roster, struct listener_list *wanted, FILE *errors)
{
	struct listener *listener;
	int problem = 0;

	TAILQ_FOREACH (listener, wanted, link)
		if (open_one(roster, wanted, listener, errors) == -1)
			problem = errno;
	errno = problem;
	return problem == 0 ? 0 : -1;
}

static int
serve_one(struct roster *roster, struct listener *listener,
    struct udp_settings *settings)
{
	if (!is_datagram(listener))
		return acceptor_add(&roster->acceptor, listener);
	settings->max_datagram = listener->max_datagram;
	listener->udp = udp_start(roster->udp_number++, listener->fd,
	    listener->protocol, settings);
	return listener->udp == NULL ? -1 : 0;
}

/* Lets clients in at what was opened.  -1 after having said why. */
static int
serve_all(struct roster *roster, struct listener_list *wanted,
    const struct config *config, FILE *errors)
{
	struct udp_settings settings;
	struct listener *listener;
	uint16_t *ports;
	int rc = datagram_settings(config, wanted, &settings, &ports);

	TAILQ_FOREACH (listener, wanted, link)
		if (rc == 0 && listener->fd != -1)
			rc = serve_one(roster, listener, &settings);
	if (rc == -1)
		fprintf(errors, "serving a new listener: %s\n",
		    strerror(errno));
	free(ports);
	return rc;
}

static void
drop_listener(struct roster *roster, struct listener_list *list,
    struct listener *listener)
{
	if (listener->udp != NULL)
		udp_stop(listener->udp, roster->counters);
	TAILQ_REMOVE(list, listener, link);
	listener_free(listener);
}

static void
drop_all(struct roster *roster, struct listener_list *list)
{
	while (!TAILQ_EMPTY(list))
		drop_listener(roster, list, TAILQ_FIRST(list));
}

/* Clients that the kernel has let in already are accepted by and by. */
static void
retire(struct roster *roster, struct listener *listener)
{
	if (is_datagram(listener))
		drop_listener(roster, &roster->listeners, listener);
	else
		listener_refuse(listener);
}

void
roster_drop_drained(struct roster *roster)
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

/* Keeps the listeners that are wanted still, and retires the others. */
static void
update_listeners(struct roster *roster, struct listener_list *wanted)
{
	struct listener *listener, *next, *twin;

	for (listener = TAILQ_FIRST(&roster->listeners); listener != NULL;
	     listener = next) {
		next = TAILQ_NEXT(listener, link);
		if (listener->refusing)
			continue;
		twin = find_same(wanted, listener, NULL);
		if (twin == NULL) {
			log_info("no longer listening on %s", listener->name);
			retire(roster, listener);
			continue;
		}
		if (listener_update(listener, twin) != 0)
			log_warning("%s: not all of its new settings hold: %s",
			    listener->name, strerror(errno));
		TAILQ_REMOVE(wanted, twin, link);
		listener_free(twin);
	}
}

int
roster_change(struct roster *roster, const struct config *config, FILE *errors)
{
	struct listener_list wanted = TAILQ_HEAD_INITIALIZER(wanted);
	struct listener *listener;

	if (resolve_all(config, &wanted, errors) == -1 ||
	    open_all(roster, &wanted, errors) == -1 ||
	    serve_all(roster, &wanted, config, errors) == -1) {
		int saved_errno = errno;
		drop_all(roster, &wanted);
		errno = saved_errno;
		return -1;
	}
	update_listeners(roster, &wanted);
	TAILQ_FOREACH (listener, &wanted, link)
		announce(listener);
	TAILQ_CONCAT(&roster->listeners, &wanted, link);
	roster_drop_drained(roster);
	return 0;
}

void
roster_retire_all(struct roster *roster)
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
roster_drop_all(struct roster *roster)
{
	drop_all(roster, &roster->listeners);
}

bool
roster_is_empty(const struct roster *roster)
{
	return TAILQ_EMPTY(&roster->listeners);
}

void
roster_count(const struct roster *roster, struct counters *sum)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL)
			counters_sum(sum, udp_counters(listener->udp));
}

void
roster_ping(struct roster *roster)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL)
			udp_ping(listener->udp);
}

bool
roster_turns(const struct roster *roster)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, &roster->listeners, link)
		if (listener->udp != NULL && !udp_turns(listener->udp))
			return false;
	return true;
}
