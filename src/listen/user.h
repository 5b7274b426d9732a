#ifndef LISTEN_USER_H
#define LISTEN_USER_H

#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"
#include "listen/listener.h"

/* Whom the server runs as.  The main thread. */
struct user {
	char name[sizeof(((struct config *)0)->user)]; /* as at the start */
	bool is_settled;
	bool gave_up_root;
};

/* Whether user_settle is still to become another user: serve no client yet. */
bool user_is_due(const struct user *user, const struct config *config);

/*
 * Before a listener is opened: the sockets of list, those to be opened and
 * those that the manager kept, belong to the user that the server becomes, or
 * is.  The kernel shares an address only between sockets of one user.
 */
void user_give_sockets(const struct user *user, const struct config *config,
    const struct listener_list *list);

/*
 * Becomes the user of config, if it names one, in all threads and for good; its
 * groups as well.  Only the first call does anything: at the start, when
 * listeners are open and no client is served yet.  -1 with errno and a line in
 * errors.
 */
int user_settle(struct user *user, const struct config *config,
    const struct listener_list *listeners, FILE *errors);

/*
 * Before that: gives the path of a Unix listener that root has made to the user
 * of config, who can then change and, where the folder lets it, remove it.
 */
void user_give_path(const struct user *user, const struct config *config,
    const struct listener *listener);

#endif
