#include "ping/probes.h"

static struct probe *
at(struct probes *probes, uint64_t number)
{
	return &probes->ring[number % PROBES_MAX];
}

static void
lose(struct probes *probes, struct probe *probe)
{
	probe->state = PROBE_LOST;
	probes->lost++;
}

struct probe *
probes_add(struct probes *probes)
{
	uint64_t number = ++probes->sent;
	struct probe *probe = at(probes, number);

	if (number > PROBES_MAX && probe->state == PROBE_AWAITED)
		lose(probes, probe);
	*probe = (struct probe){ .number = number };
	return probe;
}

enum probe_reply
probes_answer(struct probes *probes, uint64_t number, struct probe **probe)
{
	struct probe *found = at(probes, number);

	*probe = NULL;
	if (number == 0 || found->number != number)
		return PROBE_REPLY_UNKNOWN;
	*probe = found;
	enum probe_state before = found->state;
	if (before == PROBE_ANSWERED) {
		probes->duplicates++;
		return PROBE_REPLY_DUPLICATE;
	}
	found->state = PROBE_ANSWERED;
	probes->received++;
	if (number < probes->highest)
		probes->reordered++;
	else
		probes->highest = number;
	if (before == PROBE_AWAITED)
		return PROBE_REPLY_FIRST;
	probes->lost--;
	probes->late++;
	return PROBE_REPLY_LATE;
}

struct probe *
probes_find_key(struct probes *probes, uint32_t key)
{
	for (uint64_t n = 0; n < PROBES_MAX && n < probes->sent; n++) {
		struct probe *probe = at(probes, probes->sent - n);

		if (probe->key == key)
			return probe;
	}
	return NULL;
}

void
probes_drop_keys(struct probes *probes)
{
	for (uint64_t n = 0; n < PROBES_MAX && n < probes->sent; n++)
		at(probes, probes->sent - n)->has_key = false;
}

struct probe *
probes_oldest(struct probes *probes)
{
	if (probes->sent > PROBES_MAX &&
	    probes->passed < probes->sent - PROBES_MAX)
		probes->passed = probes->sent - PROBES_MAX;
	for (; probes->passed < probes->sent; probes->passed++) {
		struct probe *probe = at(probes, probes->passed + 1);

		if (probe->state == PROBE_AWAITED)
			return probe;
	}
	return NULL;
}

struct probe *
probes_expire(struct probes *probes, int64_t mono_ns)
{
	struct probe *probe = probes_oldest(probes);

	if (probe == NULL || probe->asked_mono_ns > mono_ns)
		return NULL;
	lose(probes, probe);
	return probe;
}

uint64_t
probes_awaited(const struct probes *probes)
{
	return probes->sent - probes->received - probes->lost;
}

double
probes_loss_percent(const struct probes *probes)
{
	uint64_t known = probes->received + probes->lost;

	return known == 0 ? 0 : 100 * (double)probes->lost / (double)known;
}
