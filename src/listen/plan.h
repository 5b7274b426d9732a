#ifndef LISTEN_PLAN_H
#define LISTEN_PLAN_H

#include <stddef.h>

#include "listen/listener.h"

/*
 * What a start or a reload does with each listener.  The plan compares the open
 * listeners with the wanted ones and does nothing itself; listener_set carries
 * it out.
 */
enum plan_action {
	PLAN_KEEP,   /* an open listener; its settings may change */
	PLAN_OPEN,   /* a wanted one that no open one stands for */
	PLAN_DRAIN,  /* an open one that is not wanted any more */
	PLAN_REFUSE, /* a wanted one that can't be right */
};

enum plan_reason {
	/* PLAN_KEEP */
	PLAN_WANTED,        /* with the settings of other */
	PLAN_THREADS_FIXED, /* so too, but threads change at a start only */
	PLAN_PASSED,        /* not configured: with default settings */
	/* PLAN_OPEN */
	PLAN_NEW,
	PLAN_SIBLING,         /* of other, which is open or opened before */
	PLAN_BESIDE_DRAINING, /* other is in the way, but drains */
	PLAN_NEEDS_RESTART,   /* other is in the way, serves, and is to drain */
	PLAN_PASSED_IN_WAY,   /* other is in the way and was passed */
	/* PLAN_DRAIN */
	PLAN_NOT_WANTED,
	PLAN_SURPLUS, /* fewer threads are wanted than were stored; see other */
	/* PLAN_REFUSE */
	PLAN_WANTED_TWICE, /* other is the same */
};

struct plan_step {
	enum plan_action action;
	enum plan_reason reason;
	struct listener *listener;
	const struct listener *other; /* or NULL */
};

struct plan {
	size_t count;
	struct plan_step steps[];
};

/*
 * One step for each open listener that does not drain already, then one for each
 * wanted one that is to be opened or refused.  To be freed; NULL: out of memory.
 */
struct plan *plan_make(const struct listener_list *open,
    const struct listener_list *wanted);

#endif
