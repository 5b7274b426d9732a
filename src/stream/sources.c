#include "stream/sources.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"

#define CHAINS 16384 /* a power of 2; 128 KiB */

struct source {
	struct source *next;
	uint64_t network, host;
	_Atomic int open; /* only added to under the lock */
};

/* -1 with errno. */
static int
make_chains(struct sources *sources)
{
	if (getrandom(sources->key, sizeof(sources->key), 0) !=
	    (ssize_t)sizeof(sources->key))
		return -1;
	sources->key[1] |= 1;
	sources->chains = calloc(CHAINS, sizeof(struct source *));
	return sources->chains != NULL ? 0 : -1;
}

static struct source **
find_chain(const struct sources *sources, uint64_t network)
{
	uint64_t hash = (network ^ sources->key[0]) * sources->key[1];

	hash = (hash ^ hash >> 32) * sources->key[1];
	return &sources->chains[hash >> 32 & (CHAINS - 1)];
}

/* Tells link-local addresses apart of which sockaddr_network is the same. */
static uint64_t
host_of(const struct sockaddr_any *peer)
{
	const struct in6_addr *ip = &peer->in6.sin6_addr;
	uint64_t host = 0;

	if (peer->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(ip))
		memcpy(&host, &ip->s6_addr[8], sizeof(host));
	return host;
}

static struct source *
add(struct source **chain, uint64_t network, uint64_t host)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return NULL;
	source->network = network;
	source->host = host;
	source->next = *chain;
	*chain = source;
	return source;
}

/* The count of the source, 0 for a new one; NULL: out of memory. */
static _Atomic int *
find(struct sources *sources, const struct sockaddr_any *peer)
{
	uint64_t network = sockaddr_network(peer), host = host_of(peer);
	struct source *found = NULL, *source;

	if (sources->chains == NULL && make_chains(sources) == -1)
		return NULL;
	struct source **chain = find_chain(sources, network);
	/* Frees the others that have no connection: they stay bounded. */
	for (struct source **at = chain; (source = *at) != NULL;) {
		if (source->network == network && source->host == host) {
			found = source;
		} else if (source->open == 0) {
			*at = source->next;
			free(source);
			continue;
		}
		at = &source->next;
	}
	if (found == NULL)
		found = add(chain, network, host);
	return found != NULL ? &found->open : NULL;
}

bool
sources_take(struct sources *sources, const struct sockaddr_any *peer, int max,
    _Atomic int **count)
{
	bool has_room;

	*count = NULL;
	if (peer->any.sa_family == AF_UNIX || sockaddr_is_loopback(peer))
		return true;
	pthread_mutex_lock(&sources->lock);
	*count = find(sources, peer);
	has_room = *count == NULL || max == 0 || **count < max;
	if (!has_room)
		*count = NULL;
	else if (*count != NULL)
		++**count;
	pthread_mutex_unlock(&sources->lock);
	return has_room;
}

void
sources_warn(struct sources *sources, int max)
{
	if (!clock_minute_passed(&sources->warned_ms, clock_ms()))
		return;
	log_warning("an address has max_connections_per_address (%d) "
		    "connections open: further ones from it are closed; "
		    "log_level = \"debug\" shows which address",
	    max);
}

void
sources_free(struct sources *sources)
{
	for (size_t i = 0; sources->chains != NULL && i < CHAINS; i++) {
		struct source *source;

		while ((source = sources->chains[i]) != NULL) {
			sources->chains[i] = source->next;
			free(source);
		}
	}
	free(sources->chains);
	sources->chains = NULL;
}
