#ifndef STREAM_SLOTS_H
#define STREAM_SLOTS_H

#include <stdatomic.h>
#include <stdbool.h>

/*
 * How many connections may be open at once: the acceptor takes a slot for each,
 * a worker gives it back.  room_fd becomes readable when a slot came free that
 * the acceptor was refused.
 */
struct slots {
	_Atomic int taken;
	_Atomic int max;
	_Atomic bool wanted;
	int room_fd;
};

/* -1 with errno when there is no fd to be had.  The main thread. */
int slots_init(struct slots *slots, int max);
void slots_destroy(struct slots *slots);

/* Takes effect with the next take.  The main thread. */
void slots_set_max(struct slots *slots, int max);

/* False when all are taken; room_fd tells of the next free one.  Acceptor. */
bool slots_take(struct slots *slots);

/* Takes one though there may be none left: for a client that is in already. */
void slots_take_anyway(struct slots *slots);

/* Any thread. */
void slots_give(struct slots *slots);

/* Quiets room_fd.  Acceptor. */
void slots_clear_room(struct slots *slots);

#endif
