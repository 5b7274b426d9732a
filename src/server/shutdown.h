#ifndef SERVER_SHUTDOWN_H
#define SERVER_SHUTDOWN_H

struct server;

/*
 * How the server ends.  A stop answers what has arrived and closes; a restart
 * hands listeners and connections over to the next process.  The main thread
 * calls all functions.
 */
enum shutdown_state {
	SHUTDOWN_RUNNING,
	SHUTDOWN_LAME_DUCK,       /* a stop that /ready announces first */
	SHUTDOWN_DRAINING,        /* a stop: listeners accept their backlogs */
	SHUTDOWN_FINISHING,       /* then workers answer, close and end */
	SHUTDOWN_DRAINING_OTHERS, /* a restart: listeners that are not stored */
	SHUTDOWN_HANDING_OVER,    /* then workers keep connections and end */
	SHUTDOWN_ABORTING,        /* workers close all connections and end */
	SHUTDOWN_ENDED,
	SHUTDOWN_STATES,
};

enum shutdown_event {
	SHUTDOWN_STOP,      /* SIGTERM, SIGINT, or a restart that is a stop */
	SHUTDOWN_ANNOUNCE,  /* the same with lame_duck */
	SHUTDOWN_RESTART,   /* SIGUSR2 */
	SHUTDOWN_ACCEPTED,  /* the last listener is drained */
	SHUTDOWN_TIMEOUT,   /* the deadline of the state has come */
	SHUTDOWN_JOINED,    /* the workers have ended */
	SHUTDOWN_LEFT_OVER, /* the same, but not all could be handed over */
	SHUTDOWN_EVENTS,
};

/* The state that follows; most events mean nothing in most states. */
enum shutdown_state shutdown_next(enum shutdown_state state,
    enum shutdown_event event);

/*
 * SIGTERM or SIGINT: the first announces a stop where lame_duck is configured,
 * the next begins it, a further one closes everything at once.
 */
void shutdown_stop(struct server *server);

/* Handles an event.  A second SHUTDOWN_STOP closes everything at once. */
void shutdown_take_event(struct server *server, enum shutdown_event event);

/* SIGUSR2: a restart where the next process can take over, else a stop. */
void shutdown_restart(struct server *server);

/* Goes on with a stop or restart; the main loop calls it in each round. */
void shutdown_advance(struct server *server);

#endif
