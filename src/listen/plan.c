#include "listen/plan.h"

#include <stdlib.h>

static bool
is_at_same_address(const struct listener *a, const struct listener *b)
{
	return a->protocol == b->protocol && a->dual_stack == b->dual_stack &&
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
	/* Of two passed sockets, one for each family, each does for "*". */
	return is_passed && open->protocol == wanted->protocol &&
	       wanted->dual_stack && sockaddr_is_any(&open->bound) &&
	       sockaddr_port(&open->bound) == sockaddr_port(&wanted->wanted);
}

static struct plan_step
judge_open(struct listener *open, const struct listener_list *wanted)
{
	bool is_passed = open->origin == ORIGIN_PASSED;
	bool is_fixed = open->state == LISTENER_SERVING && !is_passed;
	const struct listener *at, *sibling = NULL;

	TAILQ_FOREACH (at, wanted, link) {
		if (stands_for(open, at))
			return (struct plan_step){ PLAN_KEEP,
				is_fixed && open->threads != at->threads
				    ? PLAN_THREADS_FIXED
				    : PLAN_WANTED,
				open, at };
		if (is_at_same_address(open, at))
			sibling = at;
	}
	if (is_passed)
		return (struct plan_step){ PLAN_KEEP, PLAN_PASSED, open, NULL };
	if (sibling == NULL)
		return (struct plan_step){ PLAN_DRAIN, PLAN_NOT_WANTED, open,
			NULL };
	if (is_fixed)
		return (struct plan_step){ PLAN_KEEP, PLAN_THREADS_FIXED, open,
			sibling };
	return (struct plan_step){ PLAN_DRAIN, PLAN_SURPLUS, open, sibling };
}

/* Whether wanted can't have its address to itself while open is there. */
static bool
is_in_the_way(const struct listener *open, const struct listener *wanted)
{
	/* A path is free as soon as its listener drains. */
	if (protocol_is_unix(wanted->protocol))
		return (open->state == LISTENER_SERVING ||
			   open->origin == ORIGIN_PASSED) &&
		       sockaddr_equal(&open->bound, &wanted->wanted);
	return open->protocol == wanted->protocol &&
	       sockaddr_port(&open->bound) == sockaddr_port(&wanted->wanted) &&
	       (sockaddr_is_any(&open->bound) ||
		   sockaddr_is_any(&wanted->wanted) ||
		   sockaddr_equal(&open->bound, &wanted->wanted));
}

static bool
is_kept(const struct plan *plan, const struct listener *open)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].listener == open)
			return plan->steps[i].action == PLAN_KEEP;
	return false;
}

/* What open, which is in the way of a listener, means to it. */
static enum plan_reason
judge_obstacle(const struct plan *plan, const struct listener *open)
{
	if (open->origin == ORIGIN_PASSED)
		return PLAN_PASSED_IN_WAY;
	if (is_kept(plan, open))
		return PLAN_NEW;
	return open->state == LISTENER_SERVING ? PLAN_NEEDS_RESTART
	                                       : PLAN_BESIDE_DRAINING;
}

/* Of several listeners in the way, the one with the greatest reason counts. */
static void
judge_new(const struct plan *plan, const struct listener_list *open,
    struct plan_step *step)
{
	const struct listener *at;

	step->reason = PLAN_NEW;
	TAILQ_FOREACH (at, open, link) {
		enum plan_reason reason = judge_obstacle(plan, at);
		if (is_in_the_way(at, step->listener) &&
		    reason > step->reason) {
			step->reason = reason;
			step->other = at;
		}
	}
}

/* The one before wanted that is at the same address; NULL: there is none. */
static const struct listener *
find_twin(const struct listener_list *list, const struct listener *wanted)
{
	const struct listener *at;

	TAILQ_FOREACH (at, list, link)
		if (at == wanted || is_at_same_address(at, wanted))
			break;
	return at == wanted ? NULL : at;
}

/* False: there is nothing to do for wanted. */
static bool
judge_wanted(const struct plan *plan, const struct listener_list *open,
    const struct listener_list *all, struct plan_step *step)
{
	struct listener *wanted = step->listener;
	const struct listener *at, *sibling = find_twin(all, wanted);

	*step = (struct plan_step){ PLAN_REFUSE, PLAN_WANTED_TWICE, wanted,
		sibling };
	if (sibling != NULL && wanted->number == 0)
		return true;
	TAILQ_FOREACH (at, open, link) {
		bool is_sibling = at->state != LISTENER_DRAINING &&
		                  is_at_same_address(at, wanted);
		if (at->state != LISTENER_DRAINING && stands_for(at, wanted))
			return false;
		/* Their number stays while they serve. */
		if (is_sibling && at->state == LISTENER_SERVING)
			return false;
		if (is_sibling)
			sibling = at;
	}
	*step = (struct plan_step){ PLAN_OPEN, PLAN_SIBLING, wanted, sibling };
	if (sibling == NULL)
		judge_new(plan, open, step);
	return true;
}

static size_t
count(const struct listener_list *list)
{
	const struct listener *listener;
	size_t n = 0;

	TAILQ_FOREACH (listener, list, link)
		n++;
	return n;
}

struct plan *
plan_make(const struct listener_list *open, const struct listener_list *wanted)
{
	size_t size = (count(open) + count(wanted)) * sizeof(struct plan_step);
	struct plan *plan = malloc(sizeof(*plan) + size);
	struct listener *at;

	if (plan == NULL)
		return NULL;
	plan->count = 0;
	TAILQ_FOREACH (at, open, link)
		if (at->state != LISTENER_DRAINING)
			plan->steps[plan->count++] = judge_open(at, wanted);
	TAILQ_FOREACH (at, wanted, link) {
		plan->steps[plan->count].listener = at;
		plan->count += judge_wanted(plan, open, wanted,
		    &plan->steps[plan->count]);
	}
	return plan;
}
