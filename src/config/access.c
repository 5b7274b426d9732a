#include "config/access.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "net/sockaddr.h"

struct access {
	_Atomic int holders;
	bool has_allowed;            /* entries of its own that allow */
	struct prefix_table *table;  /* all entries */
	struct prefix_table *denied; /* those that deny; NULL: as table */
	struct access *common;
};

/* A table of the entries that deny.  NULL: out of memory. */
static struct prefix_table *
make_denied(const struct prefix_entry *entries, size_t count)
{
	struct prefix_entry *denied = calloc(count + 1, sizeof(*denied));
	struct prefix_table *table = NULL;
	size_t n = 0;

	for (size_t i = 0; denied != NULL && i < count; i++)
		if (!entries[i].value)
			denied[n++] = entries[i];
	if (denied != NULL)
		table = prefix_table_new(denied, n);
	free(denied);
	return table;
}

static void
destroy(struct access *access)
{
	prefix_table_free(access->table);
	prefix_table_free(access->denied);
	free(access);
}

struct access *
access_new(const struct prefix_entry *entries, size_t count,
    struct access *common)
{
	struct access *access = calloc(1, sizeof(*access));

	if (access == NULL)
		return NULL;
	access->holders = 1;
	for (size_t i = 0; i < count; i++)
		access->has_allowed |= entries[i].value;
	access->table = prefix_table_new(entries, count);
	/* Only lists for all are used without what they allow. */
	if (common == NULL && access->has_allowed)
		access->denied = make_denied(entries, count);
	if (access->table == NULL ||
	    (access->denied == NULL && common == NULL && access->has_allowed)) {
		destroy(access);
		return NULL;
	}
	access->common = access_hold(common);
	return access;
}

struct access *
access_hold(struct access *access)
{
	if (access != NULL)
		access->holders++;
	return access;
}

void
access_release(struct access *access)
{
	while (access != NULL && --access->holders == 0) {
		struct access *common = access->common;

		destroy(access);
		access = common;
	}
}

/* What the lists for all say to a listener that has lists of its own. */
static struct prefix_match
find_common(const struct access *access, const struct in6_addr *ip)
{
	const struct access *common = access->common;
	bool is_partial = access->has_allowed && common->denied != NULL;

	return prefix_table_find(is_partial ? common->denied : common->table,
	    ip);
}

bool
access_allows(const struct access *access, const struct sockaddr *client)
{
	struct prefix_match match, other;
	struct in6_addr ip;

	if (access == NULL || !sockaddr_ip(client, &ip))
		return true;
	bool is_open = !access->has_allowed;
	match = prefix_table_find(access->table, &ip);
	if (access->common != NULL) {
		is_open &= !access->common->has_allowed;
		other = find_common(access, &ip);
		if (other.length > match.length)
			match = other;
	}
	return match.length == -1 ? is_open : match.value;
}
