#ifndef PING_PROBES_H
#define PING_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many are remembered; an older one counts as lost. */
#define PROBES_MAX 16384

/* A message of ping, numbered from 1. */
struct probe {
	uint64_t number;
	int64_t asked_ns; /* CLOCK_REALTIME, before the call that sends it */
	int64_t sent_ns;  /* the same, or by the kernel */
	int64_t asked_mono_ns; /* CLOCK_BOOTTIME, as asked_ns */
	uint32_t key;          /* by which the kernel tells when it was sent */
	bool has_key;          /* it does */
	bool is_timed;         /* sent_ns is by the kernel */
	uint64_t steps;        /* of our clock until then */
	enum probe_state {
		PROBE_AWAITED,
		PROBE_ANSWERED,
		PROBE_LOST,
	} state;
};

/*
 * The account of what was sent and what came back.  All zero at first.  Each
 * probe is awaited, received or lost.  Owned by one thread; no I/O.
 */
struct probes {
	uint64_t sent, received, lost;
	uint64_t late;       /* received after they had been lost */
	uint64_t duplicates; /* further replies to a probe */
	uint64_t reordered;  /* received after the reply to a later probe */
	uint64_t highest;    /* number that was answered */
	uint64_t passed;     /* probes up to this one are not awaited */
	struct probe ring[PROBES_MAX];
};

/* The next probe, whose times the caller sets. */
struct probe *probes_add(struct probes *probes);

enum probe_reply {
	PROBE_REPLY_FIRST,
	PROBE_REPLY_LATE,
	PROBE_REPLY_DUPLICATE,
	PROBE_REPLY_UNKNOWN, /* never sent, or too long ago */
};

/* Counts a reply; *probe is what it replies to, NULL if that is unknown. */
enum probe_reply probes_answer(struct probes *probes, uint64_t number,
    struct probe **probe);

/* The latest probe with key; NULL: there is none. */
struct probe *probes_find_key(struct probes *probes, uint32_t key);

/* The kernel tells no more of the times of those that were sent. */
void probes_drop_keys(struct probes *probes);

/* Counts the oldest probe sent until mono_ns as lost; NULL: none is awaited. */
struct probe *probes_expire(struct probes *probes, int64_t mono_ns);

/* The oldest probe that is awaited, or NULL. */
struct probe *probes_oldest(struct probes *probes);

uint64_t probes_awaited(const struct probes *probes);

/* Lost of those that are not awaited, in percent; 0 if there are none. */
double probes_loss_percent(const struct probes *probes);

#endif
