#include "server/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sysexits.h>

#include "base/log.h"
#include "server/server.h"
#include "stamp/stamp.h"
#include "systemd/notify.h"

#define FDS_A_WORKER 2
#define FDS_RESERVED 48 /* standard streams, epoll, control, files read ... */
#define IN_PART "reloaded in part: some threads keep their old settings: %s"

rlim_t
reload_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return RLIM_INFINITY;
	/* select(2) alone needs a soft limit below the hard one. */
	rlim_t soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : soft;
}

void
reload_fit_connections(struct server *server)
{
	const struct config *config = server->config;
	int fitting = config->max_connections;
	rlim_t others = FDS_RESERVED +
	                listener_set_count_fds(&server->listeners) +
	                (rlim_t)server->pool.count * FDS_A_WORKER +
	                (http_is_open(&server->http) ? HTTP_FDS_MAX : 0);
	rlim_t needed = (rlim_t)fitting + others;
	rlim_t limit = reload_raise_file_limit();

	if (limit < needed) {
		fitting = limit > others ? (int)(limit - others) : 1;
		log_warning("max_connections = %d needs %llu file descriptors, "
			    "but the limit is %llu: clamped to %d; raise "
			    "LimitNOFILE= or ulimit -Hn",
		    config->max_connections, (unsigned long long)needed,
		    (unsigned long long)limit, fitting);
	}
	worker_pool_set_max(&server->pool, fitting);
	server->listeners.acceptor.source_max = config->max_per_address;
	if (config->max_per_address == CONFIG_AUTO)
		server->listeners.acceptor.source_max = MAX(fitting / 10, 100);
}

void
reload_use(struct server *server, struct config *config)
{
	config_free(server->config);
	server->config = config;
	log_set_level(config->log_level);
	if (stamp_set_zone(config->timezone, server->local_tz) == -1)
		log_error("time zone %s: %s", config->timezone,
		    strerror(errno));
}

/* NULL: errors, if not NULL itself, has a line for each fault. */
static struct config *
load_config(const struct server *server, FILE *errors)
{
	struct config_source source = server->options->source;
	struct config *config = NULL;

	source.running = server->config;
	if (errors != NULL)
		config_load(&config, &source, errors);
	return config;
}

/* rc says whether all have the new settings. */
static int
conclude(int rc, char *text, size_t size)
{
	struct log_about about = { .message_id = LOG_ID_RELOAD };

	if (rc == 0) {
		log_about(LOG_INFO, &about, "reloaded");
		return 0;
	}
	const char *why = strerror(errno);
	log_about(LOG_ERR, &about, IN_PART, why);
	snprintf(text, size, IN_PART "\n", why);
	return EX_OSERR;
}

/* Returns 0, or an exit status with a line in text. */
static int
use_new_config(struct server *server, struct config *config, char *text,
    size_t size)
{
	if (worker_pool_size(config) != server->pool.count)
		log_warning("workers: a change takes effect after a restart; "
			    "%d run",
		    server->pool.count);
	if (strcmp(config->user, server->listeners.user.name) != 0)
		log_warning("user: a change takes effect after a restart");
	reload_use(server, config);
	http_replace(&server->http);
	watchdog_start(server);
	reload_fit_connections(server);
	control_open(server);
	return conclude(listener_set_configure(&server->listeners, config),
	    text, size);
}

/* Logs why a reload is refused, and says it in text. */
static int
refuse(const char *reasons, char *text, size_t size)
{
	static const char cut[] = "\n... the server's log has the rest\n";
	struct log_about about = { .message_id = LOG_ID_RELOAD_REFUSED };
	bool known = reasons != NULL && *reasons != '\0';

	if (!known)
		reasons = "out of memory\n";
	server_log_lines(reasons);
	log_about(LOG_ERR, &about, "reload refused: nothing has changed");
	if (snprintf(text, size, "%s", reasons) >= (int)size)
		strcpy(text + size - sizeof(cut), cut);
	return known ? EX_CONFIG : EX_OSERR;
}

int
reload_run(struct server *server, char *text, size_t size)
{
	char *reasons = NULL;
	size_t len;
	int rc = -1, status = 0;

	if (server->state != SHUTDOWN_RUNNING) {
		log_info("reload refused: the server is stopping");
		snprintf(text, size, "the server is stopping\n");
		return EX_TEMPFAIL;
	}
	notify_reloading();
	FILE *errors = open_memstream(&reasons, &len);
	struct config *config = load_config(server, errors);
	if (config != NULL)
		rc = http_prepare(&server->http, config, &server->listeners,
		    errors);
	server->listeners.http = http_listener(&server->http);
	server->listeners.is_http_leaving = http_is_leaving(&server->http);
	if (rc == 0)
		rc = listener_set_reload(&server->listeners, config, errors);
	server->listeners.http = NULL;
	if (errors != NULL)
		fclose(errors);
	if (rc == 0) {
		status = use_new_config(server, config, text, size);
	} else {
		http_undo(&server->http);
		config_free(config);
		status = refuse(reasons, text, size);
	}
	free(reasons);
	notify_send(NOTIFY_READY);
	return status;
}

bool
reload_can_load(struct server *server)
{
	char *reasons = NULL;
	size_t len;
	FILE *errors = open_memstream(&reasons, &len);
	struct config *config = load_config(server, errors);

	if (errors != NULL)
		fclose(errors);
	if (config == NULL) {
		server_log_lines(reasons);
		log_warning("another process can't start with this "
			    "configuration: connections end");
	}
	bool is_good = config != NULL;
	config_free(config);
	free(reasons);
	return is_good;
}
