#ifndef DATAGRAM_USERS_H
#define DATAGRAM_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The users that this process can tell apart.  In a user namespace the kernel
 * shows all that have no number there as one, kernel.overflowuid.
 */
#define USERS_RANGES_MAX 340 /* user_namespaces(7) */

struct users {
	uid_t overflow;
	size_t range_count;
	struct {
		uint32_t first, count;
	} ranges[USERS_RANGES_MAX];
};

/* -1 with errno: the system lacks something for now. */
int users_read(struct users *users);

/* Whether user is one user, and not all that have no number here. */
bool users_is_known(const struct users *users, uid_t user);

/* Whether they are no more than root and this process's own user. */
bool users_are_few(const struct users *users);

#endif
