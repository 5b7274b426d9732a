#include "stream/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define CHAINS 16384 /* a power of 2; 128 KiB */

struct source {
	struct source *next;
	uint64_t network;
	_Atomic int open; /* only the main thread adds */
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

static struct source *
add(struct source **chain, uint64_t network)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source == NULL)
		return NULL;
	source->network = network;
	source->next = *chain;
	*chain = source;
	return source;
}

_Atomic int *
sources_find(struct sources *sources, const struct sockaddr_any *peer)
{
	uint64_t network = sockaddr_network(peer);
	struct source *found = NULL, *source;

	if (sources->chains == NULL && make_chains(sources) == -1)
		return NULL;
	struct source **chain = find_chain(sources, network);
	/* Frees the others that have no connection: they stay bounded. */
	for (struct source **at = chain; (source = *at) != NULL;) {
		if (source->network == network) {
			found = source;
		} else if (source->open == 0) {
			*at = source->next;
			free(source);
			continue;
		}
		at = &source->next;
	}
	if (found == NULL)
		found = add(chain, network);
	return found != NULL ? &found->open : NULL;
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
