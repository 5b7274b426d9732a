#include "listen/numbering.h"

#include <stdbool.h>
#include <sys/param.h>

static bool
is_taken(const struct listener_list *list, uint16_t number)
{
	const struct listener *listener;

	TAILQ_FOREACH (listener, list, link)
		if (listener->profile == number)
			return true;
	return false;
}

uint16_t
numbering_choose(const struct listener_list *list, uint16_t *last)
{
	do
		++*last;
	while (*last == 0 || is_taken(list, *last));
	return *last;
}

/* One that drains counts as gone: its connections have what is for all. */
static int
set_all(struct profiles *profiles, const struct listener_list *list,
    const struct config *config)
{
	const struct listener *listener;
	int rc = 0;

	TAILQ_FOREACH (listener, list, link)
		if (listener->profile != 0 &&
		    listener->state != LISTENER_DRAINING)
			rc |= profiles_set(profiles, listener->profile, config,
			    &listener->config);
	return rc;
}

int
numbering_configure(const struct listener_list *list, struct worker_pool *pool,
    const struct config *config, struct profiles *profiles)
{
	const struct listener *listener;
	struct profiles next;
	size_t last = 0;

	TAILQ_FOREACH (listener, list, link)
		last = MAX(last, listener->profile);
	if (profiles_init(&next, last + 1, config) == -1)
		return -1;
	if (set_all(&next, list, config) != 0) {
		profiles_free(&next);
		return -1;
	}
	profiles_free(profiles);
	*profiles = next;
	return worker_pool_configure(pool, config, profiles);
}
