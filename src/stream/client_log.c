#include "stream/client_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/sockaddr.h"
#include "stream/proxy.h"

#define SECOND_MS 1000
#define LINES_MAX 200 /* of all workers; journald takes 333 of a service */

void
client_log_init(struct client_log *log, int workers)
{
	*log = (struct client_log){ 0 };
	log->max = (unsigned)MAX(LINES_MAX / MAX(workers, 1), 1);
}

void
client_log_flush(struct client_log *log, uint64_t now_ms)
{
	if (now_ms - log->second_ms < SECOND_MS)
		return;
	if (log->left_out > 0)
		log_info("%u lines about connections are left out: this thread "
			 "writes at most %u a second",
		    log->left_out, log->max);
	log->second_ms = now_ms;
	log->lines = log->left_out = 0;
}

uint64_t
client_log_due_ms(const struct client_log *log)
{
	return log->left_out > 0 ? log->second_ms + SECOND_MS : UINT64_MAX;
}

/* The level of the next line.  At debug it is not seen, or one of many. */
static int
take_level(struct client_log *log, uint64_t now_ms)
{
	if (log == NULL || !log->is_on || log_enabled(LOG_DEBUG))
		return LOG_DEBUG;
	client_log_flush(log, now_ms);
	if (log->lines == log->max) {
		log->left_out++;
		return LOG_DEBUG;
	}
	log->lines++;
	return LOG_INFO;
}

void
client_log_open(struct client_log *log, struct conn *conn, uint64_t now_ms)
{
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	char peer[SOCKADDR_TEXT_MAX], address[SOCKADDR_TEXT_MAX] = "?";

	if ((!log->is_on && !log_enabled(LOG_DEBUG)) || conn->name != NULL)
		return;
	proxy_client_text(conn, peer, sizeof(peer));
	if (getsockname(conn->fd, &local.any, &local.len) == 0)
		sockaddr_text(&local, false, address, sizeof(address));
	if (asprintf(&conn->name, "%s %s%c%s", protocol_name(conn->protocol),
		address, '\0', peer) == -1) {
		conn->name = NULL;
		return;
	}
	struct log_about about = { .listener = conn->name, .peer = peer };
	log_about(take_level(log, now_ms), &about, "%s from %s: %s", conn->name,
	    peer, conn->restored ? "taken over" : "open");
}

static void
log_end(struct client_log *log, struct conn *conn, const char *end,
    uint64_t now_ms)
{
	uint64_t ms = now_ms - conn->opened_ms;

	if (conn->name == NULL)
		return;
	const char *peer = conn->name + strlen(conn->name) + 1;
	struct log_about about = { conn->name, peer, NULL };
	log_about(take_level(log, now_ms), &about,
	    "%s from %s: %s: %" PRIu64 " messages, %" PRIu64
	    " bytes in, %" PRIu64 " bytes out, %" PRIu64 ".%03" PRIu64 " s",
	    conn->name, peer, end, conn->messages, conn->bytes_in,
	    conn->bytes_out, ms / 1000, ms % 1000);
	free(conn->name);
	conn->name = NULL;
}

void
client_log_close(struct client_log *log, struct conn *conn,
    enum close_reason reason, uint64_t now_ms)
{
	char end[128];

	if (conn->name == NULL)
		return;
	snprintf(end, sizeof(end), "closed, %s", conn_reason_text(reason));
	log_end(log, conn, end, now_ms);
}

void
client_log_hand_over(struct client_log *log, struct conn *conn, uint64_t now_ms)
{
	log_end(log, conn, "handed over", now_ms);
}
