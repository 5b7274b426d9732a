/*
 * Prefixes nest or are apart.  So they cut all addresses of a family into
 * intervals, and the innermost prefix of each is the longest that holds its
 * addresses.  The first addresses of the intervals are sorted; a search finds
 * the last that is not behind an address.
 */
#include "net/prefix_table.h"

#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NESTED_MAX 129 /* lengths from 0 to 128 */
#define NO_MATCH 0
#define SLOTS_MAX 65536

/* An address, so that it can be compared; IPv4 has the upper half of high. */
struct key {
	uint64_t high, low;
};

/*
 * Cuts the range of the high halves, from that of the second group on, into
 * slots of 2^shift: the last group that begins at or before each of them.  With
 * it a search of many touches few lines of the cache.
 */
struct index {
	uint32_t *groups; /* and the last group of all */
	size_t slots;
	uint64_t base;
	int shift;
};

/* The intervals whose first addresses have the same high half. */
struct group {
	uint64_t high;
	uint32_t first;      /* interval */
	uint16_t last_match; /* of the last one */
};

/* Of a family. */
struct intervals {
	struct group *groups; /* by high, which is 0 first; and an end */
	size_t group_count;
	uint64_t *lows;    /* of each interval; ascending in a group */
	uint16_t *matches; /* of each interval; see pack */
	size_t count;
	struct index index;
};

struct prefix_table {
	struct intervals ipv4, ipv6;
};

/* A prefix that the builder is in. */
struct nested {
	struct key last;
	uint16_t match;
};

struct builder {
	struct intervals *intervals;
	struct nested nested[NESTED_MAX];
	int depth;
};

/* The match of a prefix: its length, of 128 bits, and its value. */
static uint16_t
pack(const struct prefix_entry *entry)
{
	return (uint16_t)((entry->prefix.length + 1) << 1 | entry->value);
}

static struct key
make_key(const struct in6_addr *address)
{
	uint64_t halves[2];

	memcpy(halves, address, sizeof(halves));
	if (IN6_IS_ADDR_V4MAPPED(address))
		return (struct key){ be64toh(halves[1]) << 32, 0 };
	return (struct key){ be64toh(halves[0]), be64toh(halves[1]) };
}

static bool
is_behind(struct key key, struct key other)
{
	return key.high > other.high ||
	       (key.high == other.high && key.low > other.low);
}

static bool
is_ipv4(const struct prefix *prefix)
{
	return prefix->length >= PREFIX_IPV4 &&
	       IN6_IS_ADDR_V4MAPPED(&prefix->address);
}

/* The last address of a network, as a key whose first "length" bits count. */
static struct key
find_last(struct key first, int length)
{
	struct key last = first;

	if (length < 64)
		last.high |= UINT64_MAX >> length;
	if (length <= 64)
		last.low = UINT64_MAX;
	else if (length < 128)
		last.low |= UINT64_MAX >> (length - 64);
	return last;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct prefix_entry *x = a, *y = b;
	const struct prefix *p = &x->prefix, *q = &y->prefix;
	int order = memcmp(&p->address, &q->address, sizeof(p->address));

	if (order == 0)
		order = p->length - q->length;
	if (order == 0)
		order = strcmp(x->file, y->file);
	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

void
prefix_table_sort(struct prefix_entry *entries, size_t count)
{
	qsort(entries, count, sizeof(*entries), compare_entries);
}

/* An interval begins at key, or in place of the last if that begins there. */
static void
begin_interval(struct intervals *intervals, struct key key, uint16_t match)
{
	size_t group = intervals->group_count, i = intervals->count;

	if (group == 0 || intervals->groups[group - 1].high != key.high) {
		intervals->groups[group].high = key.high;
		intervals->group_count = ++group;
	} else if (intervals->lows[i - 1] == key.low) {
		i--;
	}
	intervals->lows[i] = key.low;
	intervals->matches[i] = match;
	intervals->count = i + 1;
	intervals->groups[group - 1].last_match = match;
	intervals->groups[group].first = (uint32_t)intervals->count;
}

/* Leaves the innermost prefix; what is behind it is in the one around it. */
static void
leave(struct builder *builder)
{
	struct key next = builder->nested[--builder->depth].last;
	int depth = builder->depth;

	if (++next.low == 0 && ++next.high == 0)
		return;
	begin_interval(builder->intervals, next,
	    depth > 0 ? builder->nested[depth - 1].match : NO_MATCH);
}

static void
enter(struct builder *builder, const struct prefix_entry *entry)
{
	const struct prefix *prefix = &entry->prefix;
	struct key first = make_key(&prefix->address);
	int length = prefix->length - (is_ipv4(prefix) ? PREFIX_IPV4 : 0);

	while (builder->depth > 0 &&
	       is_behind(first, builder->nested[builder->depth - 1].last))
		leave(builder);
	builder->nested[builder->depth++] =
	    (struct nested){ find_last(first, length), pack(entry) };
	begin_interval(builder->intervals, first, pack(entry));
}

/* -1: out of memory. */
static int
build_index(struct intervals *intervals)
{
	struct index *index = &intervals->index;
	size_t last = intervals->group_count - 1, group = 0;
	uint64_t top = intervals->groups[last].high;

	index->slots = last < SLOTS_MAX ? last + 1 : SLOTS_MAX;
	index->base = last > 0 ? intervals->groups[1].high : 0;
	while ((top - index->base) >> index->shift >= index->slots)
		index->shift++;
	index->groups = calloc(index->slots + 1, sizeof(index->groups[0]));
	if (index->groups == NULL)
		return -1;
	for (size_t i = 0; i < index->slots; i++) {
		uint64_t offset = (uint64_t)i << index->shift;
		while (
		    group < last &&
		    intervals->groups[group + 1].high - index->base <= offset)
			group++;
		index->groups[i] = (uint32_t)group;
	}
	index->groups[index->slots] = (uint32_t)last;
	return 0;
}

/* The intervals of the entries of a family; -1: out of memory. */
static int
build(struct intervals *intervals, const struct prefix_entry *entries,
    size_t count, bool of_ipv4)
{
	struct builder builder = { .intervals = intervals };
	size_t max = 1;

	/* Each prefix begins and ends one, and there is the first. */
	for (size_t i = 0; i < count; i++)
		max += is_ipv4(&entries[i].prefix) == of_ipv4 ? 2 : 0;
	intervals->groups = calloc(max + 1, sizeof(intervals->groups[0]));
	intervals->lows = calloc(max, sizeof(intervals->lows[0]));
	intervals->matches = calloc(max, sizeof(intervals->matches[0]));
	if (intervals->groups == NULL || intervals->lows == NULL ||
	    intervals->matches == NULL)
		return -1;
	begin_interval(intervals, (struct key){ 0, 0 }, NO_MATCH);
	for (size_t i = 0; i < count; i++)
		if (is_ipv4(&entries[i].prefix) == of_ipv4)
			enter(&builder, &entries[i]);
	while (builder.depth > 0)
		leave(&builder);
	return build_index(intervals);
}

static void
release(struct intervals *intervals)
{
	free(intervals->groups);
	free(intervals->lows);
	free(intervals->matches);
	free(intervals->index.groups);
}

struct prefix_table *
prefix_table_new(const struct prefix_entry *entries, size_t count)
{
	struct prefix_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	if (build(&table->ipv4, entries, count, true) == 0 &&
	    build(&table->ipv6, entries, count, false) == 0)
		return table;
	prefix_table_free(table);
	return NULL;
}

void
prefix_table_free(struct prefix_table *table)
{
	if (table == NULL)
		return;
	release(&table->ipv4);
	release(&table->ipv6);
	free(table);
}

/*
 * The last group that begins at or before key.  The compiler makes no branch of
 * the choice, which the processor would guess wrong every other time.
 */
static const struct group *
find_group(const struct intervals *intervals, uint64_t key)
{
	const struct index *index = &intervals->index;
	const struct group *group = intervals->groups;

	if (key < index->base)
		return group;
	uint64_t slot = (key - index->base) >> index->shift;
	if (slot >= index->slots)
		slot = index->slots - 1;
	group += index->groups[slot];
	size_t count = index->groups[slot + 1] - index->groups[slot] + 1;
	while (count > 1) {
		size_t half = count / 2;
		group = group[half].high <= key ? group + half : group;
		count -= half;
	}
	return group;
}

/* The same for the lows from first to end; the first is not above low. */
static size_t
find_low(const uint64_t *lows, size_t first, size_t end, uint64_t low)
{
	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;
		first = lows[middle] <= low ? middle : first;
		end = lows[middle] <= low ? end : middle;
	}
	return first;
}

struct prefix_match
prefix_table_find(const struct prefix_table *table, const struct in6_addr *ip)
{
	const struct intervals *intervals = IN6_IS_ADDR_V4MAPPED(ip)
	                                      ? &table->ipv4
	                                      : &table->ipv6;
	struct key key = make_key(ip);
	const struct group *group = find_group(intervals, key.high);
	uint16_t match = group->last_match;

	if (group->high == key.high) {
		/* Else it is in the last interval of the group before. */
		if (intervals->lows[group->first] > key.low)
			match = group[-1].last_match;
		else
			match = intervals->matches[find_low(intervals->lows,
			    group->first, group[1].first, key.low)];
	}
	return (struct prefix_match){ (match >> 1) - 1, match & 1 };
}
