#ifndef NET_PREFIX_TABLE_H
#define NET_PREFIX_TABLE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/prefix.h"

/*
 * Finds the longest of many prefixes that holds an address.  It never changes,
 * so any thread may look something up.
 */
struct prefix_table;

/* A prefix and what is said of it. */
struct prefix_entry {
	struct prefix prefix;
	bool value;
	const char *file; /* where it was written, for messages */
	unsigned line;
};

/* By address, the shorter one of an address first, then by file and line. */
void prefix_table_sort(struct prefix_entry *entries, size_t count);

/*
 * A table of entries that are sorted, no prefix twice, at most 2^30 of them;
 * free it with prefix_table_free.  NULL: out of memory.
 */
struct prefix_table *prefix_table_new(const struct prefix_entry *entries,
    size_t count);
void prefix_table_free(struct prefix_table *table);

/* The longest prefix that holds an address. */
struct prefix_match {
	int length; /* -1: none does */
	int value;  /* 0 or 1; of a bool gcc 12 says that it is not set */
};

/*
 * ip is as sockaddr_ip gives it.  A prefix of IPv6 holds no IPv4 address.  The
 * time is that of two binary searches.
 */
struct prefix_match prefix_table_find(const struct prefix_table *table,
    const struct in6_addr *ip);

#endif
