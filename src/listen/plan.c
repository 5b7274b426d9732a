#include "listen/plan.h"

#include <stdlib.h>

static bool
is_at_same_address(const struct listener *a, const struct listener *b)
{
	return a->config.protocol == b->config.protocol &&
	       a->dual_stack == b->dual_stack &&
	       sockaddr_equal(&a->wanted, &b->wanted);
}

/* Whether clients of wanted reach us by open. */
static bool
stands_for(const struct listener *open, const struct listener *wanted)
{
	bool is_passed = open->origin == ORIGIN_PASSED;

	/* A socket unit decides how many sockets there are. */
	if (is_at_same_address(open, wanted) &&
	    (is_passed || open->number == wanted->number))
		return true;
	/* If an IPv4 and an IPv6 socket were passed, either satisfies "*". */
	return is_passed && open->config.protocol == wanted->config.protocol &&
	       wanted->dual_stack && sockaddr_is_any(&open->bound) &&
	       sockaddr_port(&open->bound) == sockaddr_port(&wanted->wanted);
}

static struct plan_step
judge_open(struct listener *open, const struct listener_list *wanted)
{
	struct plan_step step = { PLAN_KEEP, open, NULL };
	const struct listener *at;

	TAILQ_FOREACH (at, wanted, link) {
		if (stands_for(open, at))
			return (struct plan_step){ PLAN_KEEP, open, at };
		if (is_at_same_address(open, at))
			step.other = at;
	}
	/* A serving listener keeps its number of threads until a restart. */
	if (open->origin != ORIGIN_PASSED &&
	    (step.other == NULL || open->state != LISTENER_SERVING))
		step.action = PLAN_DRAIN;
	return step;
}

bool
plan_is_in_the_way(const struct listener *open, const struct listener *wanted)
{
	/* A path is free as soon as its listener drains. */
	if (protocol_is_unix(wanted->config.protocol))
		return (open->state == LISTENER_SERVING ||
			   open->origin == ORIGIN_PASSED) &&
		       sockaddr_equal(&open->bound, &wanted->wanted);
	return open->config.protocol == wanted->config.protocol &&
	       sockaddr_port(&open->bound) == sockaddr_port(&wanted->wanted) &&
	       (sockaddr_is_any(&open->bound) ||
		   sockaddr_is_any(&wanted->wanted) ||
		   sockaddr_equal(&open->bound, &wanted->wanted));
}

/* How wanted is opened while open, of another address, is there. */
static enum plan_action
judge_obstacle(struct listener *open, const struct listener *wanted,
    const struct listener_list *all)
{
	if (!plan_is_in_the_way(open, wanted))
		return PLAN_OPEN;
	if (open->origin == ORIGIN_PASSED)
		return PLAN_PASSED_IN_WAY;
	if (open->state == LISTENER_DRAINING)
		return PLAN_OPEN_BESIDE;
	/* One that stays is in the way for good: bind(2) will say so. */
	if (judge_open(open, all).action == PLAN_KEEP)
		return PLAN_OPEN;
	return open->state == LISTENER_SERVING ? PLAN_NEEDS_RESTART
	                                       : PLAN_OPEN_BESIDE;
}

/* What to do with wanted, one of all; listener NULL: an open one serves it. */
static struct plan_step
judge_wanted(const struct listener_list *open, const struct listener_list *all,
    struct listener *wanted)
{
	struct plan_step step = { PLAN_OPEN, wanted, NULL };
	const struct listener *sibling = NULL;
	struct listener *at;

	TAILQ_FOREACH (at, all, link)
		if (is_at_same_address(at, wanted))
			break;
	if (at != wanted && wanted->number == 0)
		return (struct plan_step){ PLAN_WANTED_TWICE, wanted, at };
	if (at != wanted)
		sibling = at;
	TAILQ_FOREACH (at, open, link) {
		enum plan_action action = judge_obstacle(at, wanted, all);
		/* Beside two it may get no client: the kernel picks one. */
		if (action == step.action && action == PLAN_OPEN_BESIDE &&
		    wanted->config.protocol == PROTOCOL_TCP &&
		    sockaddr_equal(&at->bound, &step.other->bound))
			action = PLAN_NEEDS_RESTART;
		if (action > step.action)
			step = (struct plan_step){ action, wanted, at };
		if (at->state == LISTENER_DRAINING)
			continue;
		bool is_same = is_at_same_address(at, wanted);
		if (stands_for(at, wanted) ||
		    (is_same && at->state == LISTENER_SERVING))
			return (struct plan_step){ 0 };
		if (is_same)
			sibling = at;
	}
	if (sibling != NULL)
		return (struct plan_step){ PLAN_OPEN_BESIDE, wanted, sibling };
	return step;
}

struct plan_step *
plan_make(const struct listener_list *open, const struct listener_list *wanted)
{
	struct listener *at;
	size_t max = 1;

	TAILQ_FOREACH (at, open, link)
		max++;
	TAILQ_FOREACH (at, wanted, link)
		max++;
	struct plan_step *plan = calloc(max, sizeof(*plan)), *step = plan;
	if (plan == NULL)
		return NULL;
	TAILQ_FOREACH (at, open, link)
		if (at->state != LISTENER_DRAINING)
			*step++ = judge_open(at, wanted);
	TAILQ_FOREACH (at, wanted, link) {
		*step = judge_wanted(open, wanted, at);
		step += step->listener != NULL;
	}
	return plan;
}
