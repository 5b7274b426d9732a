#include "datagram/loop.h"

#include <string.h>
#include <sys/param.h>

#include "stamp/stamp.h"

#define GROUPS_MAX 4 /* two stamps of ours, and two of another server */
#define WORD sizeof(uint64_t)

bool
loop_is_stamped_twice(const char *text, size_t text_len, const char *data,
    size_t len)
{
	int found = 0;

	for (int i = 0; i < GROUPS_MAX && len > 0 && *data == '['; i++) {
		const char *end = data + text_len;

		if (stamp_resembles(text, text_len, data, len)) {
			found++;
		} else {
			end = memmem(data, MIN(len, STAMP_TEXT_MAX), "] ", 2);
			if (end == NULL)
				break;
			end += 2;
		}
		len -= (size_t)(end - data);
		data = end;
	}
	return found >= 2;
}

void
loop_init(struct loop_table *table, const uint64_t seed[LOOP_SEEDS])
{
	memcpy(table->key, seed, sizeof(table->key));
	table->multiplier = seed[LOOP_KEYS] | 1;
}

static uint64_t
product(const char *bytes, size_t len, uint64_t key)
{
	uint64_t word = 0;

	memcpy(&word, bytes, len);
	word += key;
	return (word >> 32) * (uint32_t)word;
}

/* Unlike in a loop, these do not wait for each other. */
static uint64_t
four_products(const char *data, const uint64_t *key)
{
	return product(data, WORD, key[0]) +
	       product(data + WORD, WORD, key[1]) +
	       product(data + 2 * WORD, WORD, key[2]) +
	       product(data + 3 * WORD, WORD, key[3]);
}

static uint64_t
hash(const struct loop_table *table, const char *data, size_t len)
{
	const uint64_t *key = table->key;
	uint64_t hash = len ^ table->multiplier, sum;

	for (; len >= 8 * WORD; data += 8 * WORD, len -= 8 * WORD) {
		sum = four_products(data, key) +
		      four_products(data + 4 * WORD, key + 4);
		hash = (hash ^ sum) * table->multiplier;
		hash ^= hash >> 32;
	}
	for (sum = 0; len >= WORD; data += WORD, len -= WORD)
		sum += product(data, WORD, *key++);
	if (len > 0)
		sum += product(data, len, *key);
	hash = (hash ^ sum) * table->multiplier;
	return hash ^ hash >> 32;
}

/*
 * Whether a new source takes the place of a rather than that of b.  Of equals
 * it is the younger one: so even in a flood an entry that took the place of a
 * quiet one has time for a repeat, which makes it stronger than the flood's.
 */
static bool
is_weaker(const struct loop_source *a, const struct loop_source *b,
    uint32_t now_ms)
{
	uint32_t quiet_a = now_ms - a->last_ms, quiet_b = now_ms - b->last_ms;
	uint32_t worth_a = quiet_a < LOOP_QUIET_MS ? a->repeats + 1 : 0;
	uint32_t worth_b = quiet_b < LOOP_QUIET_MS ? b->repeats + 1 : 0;

	return worth_a < worth_b || (worth_a == worth_b && quiet_a < quiet_b);
}

/* The entry of the source of run. */
static struct loop_source *
find_source(struct loop_table *table, const struct loop_run *run)
{
	const struct sockaddr_any *address = run->address;
	uint32_t now_ms = (uint32_t)run->now_ms;
	uint64_t bits = hash(table, (const char *)&address->any, address->len);
	struct loop_source *set = table->sources[bits >> 32 & (LOOP_SETS - 1)];
	struct loop_source *weakest = &set[0];

	for (int i = 0; i < LOOP_WAYS; i++) {
		if (set[i].name == (uint32_t)bits)
			return &set[i];
		if (is_weaker(&set[i], weakest, now_ms))
			weakest = &set[i];
	}
	*weakest = (struct loop_source){ .name = (uint32_t)bits,
		.last_ms = now_ms };
	return weakest;
}

bool
loop_is_due(struct loop_table *table, struct loop_run *run, const char *data,
    size_t len)
{
	struct loop_source *source = run->source;
	bool is_repeat;

	if (source == NULL) {
		source = run->source = find_source(table, run);
		uint32_t payload = (uint32_t)hash(table, data, len);
		is_repeat = source->payload == payload;
		source->payload = payload;
	} else {
		is_repeat = run->len == len &&
		            memcmp(run->data, data, len) == 0;
	}
	run->data = data;
	run->len = len;
	if (!is_repeat)
		return false;
	source->last_ms = (uint32_t)run->now_ms;
	source->repeats = (source->repeats + 1) % LOOP_REPEATS;
	return source->repeats == 0;
}

void
loop_end(const struct loop_table *table, const struct loop_run *run)
{
	if (run->source != NULL)
		run->source->payload = (uint32_t)hash(table, run->data,
		    run->len);
}
