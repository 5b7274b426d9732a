#ifndef LISTEN_PLAN_H
#define LISTEN_PLAN_H

#include "listen/listener.h"

/*
 * What a start or a reload does with a listener, and why.  The plan compares
 * the open listeners with the wanted ones and does nothing itself; listener_set
 * carries it out.
 */
enum plan_action {
	/* An open listener; other is the wanted one with its settings. */
	PLAN_KEEP,  /* other NULL: a passed one that is not configured */
	PLAN_DRAIN, /* other NULL: not wanted; else a thread too many */
	/* A wanted listener, from the least severe obstacle to the most severe:
	 * without a sibling the most severe one decides.  The listener is
	 * opened nevertheless, except for the last. */
	PLAN_OPEN,
	PLAN_OPEN_BESIDE,   /* other has the address: a sibling, or it drains */
	PLAN_NEEDS_RESTART, /* other is in the way, serves, and is to drain */
	PLAN_PASSED_IN_WAY, /* other is in the way and was passed */
	PLAN_WANTED_TWICE,  /* other is the same: can't be opened */
};

struct plan_step {
	enum plan_action action;
	struct listener *listener;
	const struct listener *other; /* or NULL */
};

/*
 * One step for each open listener that does not drain already, then one for
 * each wanted listener that no open one covers, then an end mark whose listener
 * is NULL.  To be freed; NULL: out of memory.
 */
struct plan_step *plan_make(const struct listener_list *open,
    const struct listener_list *wanted);

/* Whether wanted can't have its address to itself while open is there. */
bool plan_is_in_the_way(const struct listener *open,
    const struct listener *wanted);

#endif
