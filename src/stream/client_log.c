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
#define LINES_MAX 200    /* of all workers; journald takes 333 of a service */
#define BYTES_COLUMNS 14 /* on a terminal */

void
client_log_init(struct client_log *log, int workers,
    _Atomic uint64_t *last_number)
{
	*log = (struct client_log){ .last_number = last_number };
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

/* What conn->name has, one text after the other. */
struct who {
	const char *listener, *peer, *number;
};

/* False: it is not named. */
static bool
name_conn(const struct client_log *log, struct conn *conn)
{
	struct sockaddr_any local = { .len = sizeof(local.storage) };
	char peer[SOCKADDR_TEXT_MAX], address[SOCKADDR_TEXT_MAX] = "?";

	proxy_client_text(conn, peer, sizeof(peer));
	if (getsockname(conn->fd, &local.any, &local.len) == 0)
		sockaddr_text(&local, false, address, sizeof(address));
	if (asprintf(&conn->name, "%s %s%c%s%c#%" PRIu64,
		protocol_name(conn->protocol), address, '\0', peer, '\0',
		++*log->last_number) == -1)
		conn->name = NULL;
	return conn->name != NULL;
}

static struct who
who_is(const struct conn *conn)
{
	struct who who = { .listener = conn->name };

	who.peer = who.listener + strlen(who.listener) + 1;
	who.number = who.peer + strlen(who.peer) + 1;
	return who;
}

const char *
client_log_who(const struct conn *conn, char text[CLIENT_LOG_WHO_MAX])
{
	char peer[SOCKADDR_TEXT_MAX];

	proxy_client_text(conn, peer, sizeof(peer));
	snprintf(text, CLIENT_LOG_WHO_MAX, "%s%sfrom %s",
	    conn->name != NULL ? who_is(conn).number : "",
	    conn->name != NULL ? " " : "", peer);
	return text;
}

void
client_log_open(struct client_log *log, struct conn *conn, uint64_t now_ms)
{
	const char *event = conn->restored ? "taken over" : "open";

	if ((!log->is_on && !log_enabled(LOG_DEBUG)) || conn->name != NULL ||
	    !name_conn(log, conn))
		return;
	struct who who = who_is(conn);
	struct log_about about = { .listener = who.listener, .peer = who.peer };
	int level = take_level(log, now_ms);
	if (log_terminal())
		log_about(level, &about, "%-5s %-*s from %s on %s", who.number,
		    BYTES_COLUMNS, event, who.peer, who.listener);
	else
		log_about(level, &about, "%s from %s: %s", who.listener,
		    who.peer, event);
}

/* "6 -> 33 B", filled up to a column. */
static void
put_bytes(char *text, size_t size, const struct conn *conn)
{
	bool is_utf8 = log_terminal() == LOG_TERMINAL_UTF8;
	const char *arrow = is_utf8 ? "\u2192" : "->";
	int len = snprintf(text, size, "%" PRIu64 " %s %" PRIu64 " B",
	    conn->bytes_in, arrow, conn->bytes_out);
	/* The three bytes of the arrow are one column. */
	int width = is_utf8 ? BYTES_COLUMNS + 2 : BYTES_COLUMNS;

	if (len < width)
		snprintf(text + len, size - (size_t)len, "%*s", width - len,
		    "");
}

static void
log_end_short(int level, const struct log_about *about, const struct conn *conn,
    const char *end, uint64_t ms)
{
	char bytes[64];

	put_bytes(bytes, sizeof(bytes), conn);
	log_about(level, about,
	    "%-5s %s %s: %" PRIu64 " message%s, %" PRIu64 ".%03" PRIu64
	    " s, from %s",
	    who_is(conn).number, bytes, end, conn->messages,
	    conn->messages == 1 ? "" : "s", ms / 1000, ms % 1000, about->peer);
}

static void
log_end(struct client_log *log, struct conn *conn, const char *end,
    uint64_t now_ms)
{
	uint64_t ms = now_ms - conn->opened_ms;

	if (conn->name == NULL)
		return;
	struct who who = who_is(conn);
	struct log_about about = { .listener = who.listener, .peer = who.peer };
	int level = take_level(log, now_ms);
	if (log_terminal())
		log_end_short(level, &about, conn, end, ms);
	else
		log_about(level, &about,
		    "%s from %s: %s: %" PRIu64 " messages, %" PRIu64
		    " bytes in, %" PRIu64 " bytes out, %" PRIu64 ".%03" PRIu64
		    " s",
		    who.listener, who.peer, end, conn->messages, conn->bytes_in,
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
