#include "listen/user.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static bool
is_needed(const struct config *config)
{
	return config->user[0] != '\0' &&
	       (geteuid() != config->uid || getuid() != config->uid);
}

bool
user_is_due(const struct user *user, const struct config *config)
{
	return !user->is_settled && is_needed(config);
}

void
user_give_sockets(const struct user *user, const struct config *config,
    const struct listener_list *list)
{
	struct listener *listener;

	TAILQ_FOREACH (listener, list, link) {
		if (user_is_due(user, config))
			listener->owner = config->uid;
		if (listener->origin == ORIGIN_STORED)
			listener_give_socket(listener);
	}
}

void
user_give_path(const struct user *user, const struct config *config,
    const struct listener *listener)
{
	struct log_about about = { .listener = listener->name };

	if (user_is_due(user, config) && geteuid() == 0 &&
	    listener->origin == ORIGIN_OWN &&
	    protocol_is_unix(listener->config.protocol) &&
	    listener_set_owner(listener, config->uid, config->gid) == -1)
		log_about(LOG_WARNING, &about,
		    "%s: cannot be given to user \"%s\": %s", listener->name,
		    config->user, strerror(errno));
}

/* -1 with errno, also when there is a way back to root. */
static int
become(const struct config *config)
{
	if (initgroups(config->user, config->gid) == -1 ||
	    setresgid(config->gid, config->gid, config->gid) == -1 ||
	    setresuid(config->uid, config->uid, config->uid) == -1)
		return -1;
	if (config->uid == 0 || setuid(0) == -1)
		return 0;
	errno = EPERM;
	return -1;
}

int
user_settle(struct user *user, const struct config *config,
    const struct listener_list *listeners, FILE *errors)
{
	const struct listener *listener;
	bool is_root = geteuid() == 0;

	if (user->is_settled)
		return 0;
	strcpy(user->name, config->user);
	TAILQ_FOREACH (listener, listeners, link)
		user_give_path(user, config, listener);
	user->is_settled = true;
	user->gave_up_root = is_root && is_needed(config);
	if (is_needed(config) && become(config) == -1) {
		int problem = errno;
		fprintf(errors,
		    "user: cannot become \"%s\" for good: %s; start the server "
		    "as root, or as that user\n",
		    config->user, strerror(problem));
		errno = problem;
		return -1;
	}
	return 0;
}
