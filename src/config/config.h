#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/log.h"
#include "config/listener_config.h"
#include "stamp/stamp.h"

#define CONFIG_AUTO (-1) /* the value follows from others */
#define CONFIG_CONTROL "/run/timestampd/control" /* by default */

/*
 * All settings.  Immutable once loaded; the main thread owns it, the others get
 * copies of what they need.
 */
struct config {
	int log_level;
	bool log_connections; /* at level info */
	int workers;          /* 0: one per CPU */
	char user[64]; /* to become once all is open; "": stay the one it is */
	uid_t uid;     /* of user */
	gid_t gid;
	/* The path of the control socket; "": none. */
	char control[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int max_connections;
	int max_per_address; /* connections; 0: any number; or CONFIG_AUTO */
	int idle_timeout;    /* seconds; 0: never; or CONFIG_AUTO */
	int send_timeout;    /* seconds; 0: never */
	int drain_timeout;   /* seconds; 0: at once */
	int lame_duck;       /* seconds of service after SIGTERM */
	int kept_memory;     /* MiB; 0: no limit */
	struct stamp_format stamp;
	char timezone[STAMP_ZONE_MAX];
	int arrival; /* bool: stamps tell when the kernel received the data */
	int rate_limit, rate_burst; /* replies; limit 0: none */
	struct access *access;      /* for all listeners; NULL: no lists */
	struct listener_config *listeners; /* each holds its access */
	size_t listener_count;
	bool built_in_listeners;     /* none are configured */
	struct listener_config http; /* metrics; its where is "": none */
};

/* Where settings come from, besides those that are built in. */
struct config_source {
	const char *path;   /* of a file; NULL: none */
	char *const *specs; /* -l: listeners, in place of those of the file */
	size_t spec_count;
	char *const *settings; /* -o: "NAME=VALUE", in place of the file's */
	size_t setting_count;
	/* In effect, at a reload: its user is not looked up again.  Or NULL. */
	const struct config *running;
	bool debug;         /* -d: log_level = "debug" */
	bool with_pictures; /* of errors */
};

/*
 * The built-in settings, replaced by those of source.  Returns 0, or an exit
 * status if anything is wrong, with a line in errors for each fault:
 * "file:line:column: setting: what is wrong and what is allowed"; with pictures
 * also the line of the file, and a mark under the fault.  *config is NULL then.
 * Opens no socket and resolves no host.  Free with config_free.  The main
 * thread.
 */
int config_load(struct config **config, const struct config_source *source,
    FILE *errors);

/*
 * The same, and writes all settings as a file to out, from which the same
 * configuration would be loaded.
 */
int config_show(const struct config_source *source, FILE *out, FILE *errors);

void config_free(struct config *config);

/*
 * For connections of a listener, or of none (NULL): how many seconds they may
 * be idle, 0: for ever; and their stamp, which is new.
 */
int config_idle_timeout(const struct config *config,
    const struct listener_config *listener, enum framing framing);
void config_make_stamp(const struct config *config,
    const struct listener_config *listener, struct stamp *stamp);

#endif
