#ifndef PIPE_DIAL_H
#define PIPE_DIAL_H

#include <pthread.h>
#include <stdbool.h>

#include "timestampc/connection.h"

/* Connects in a thread of its own, because a look-up of a name may wait. */
struct dial {
	int event; /* readable when the attempt has ended */
	bool busy;
	pthread_t thread;
	const struct target *target;
	/* The thread's while it is busy. */
	struct connection connection;
	int status; /* as of connection_open */
};

/* -1 with errno.  target must outlive dial. */
int dial_init(struct dial *dial, const struct target *target);

/* Begins an attempt.  -1 with errno. */
int dial_begin(struct dial *dial);

/* Ends an attempt when the event is readable; the result is in dial. */
void dial_end(struct dial *dial);

#endif
