#include "handover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* To be changed with anything in what follows it. */
#define HEAD "timestampd connections 1\n"
#define LINE_MAX_LEN 256
#define SECONDS_END 253402300800 /* of the year 9999 */

static int
cookie_of(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof(*cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &len);
}

static int
put(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);

	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

/* All of the record or, with -1 and errno, nothing. */
static int
put_record(int fd, const struct conn *conn)
{
	off_t before = lseek(fd, 0, SEEK_CUR);
	struct conn_state state;
	char line[LINE_MAX_LEN];
	uint64_t cookie;

	if (cookie_of(conn->fd, &cookie) == -1)
		return -1;
	conn_save(conn, &state);
	int len = snprintf(line, sizeof(line),
	    "%" PRIu64 " %s %s %d %lld %ld %" PRIu64 " %zu %zu\n", cookie,
	    protocol_name(state.protocol), framing_name(state.framing),
	    state.line_start, (long long)state.arrived.tv_sec,
	    state.arrived.tv_nsec, state.messages, state.out_len, state.in_len);
	if (put(fd, line, (size_t)len) == 0 &&
	    put(fd, state.bytes, state.out_len + state.in_len) == 0)
		return 0;
	int saved_errno = errno;
	if (ftruncate(fd, before) == 0)
		lseek(fd, before, SEEK_SET);
	errno = saved_errno;
	return -1;
}

static void
drop(struct conn_list *list, struct conn *conn, struct counters *counters)
{
	TAILQ_REMOVE(list, conn, link);
	conn_close(conn, counters, COUNTER_CLOSED_ERROR, clock_ms());
}

/* A file with the states of list, less those that don't go in; -1 with errno. */
static int
write_states(struct conn_list *list, struct counters *counters)
{
	struct conn *conn, *next;
	char end[32];
	size_t count = 0;
	int fd = memfd_create("connections", MFD_CLOEXEC);

	if (fd == -1)
		return -1;
	int rc = put(fd, HEAD, strlen(HEAD));
	for (conn = TAILQ_FIRST(list); conn != NULL && rc == 0; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (put_record(fd, conn) == 0)
			count++;
		else
			drop(list, conn, counters);
	}
	int len = snprintf(end, sizeof(end), "end %zu\n", count);
	if (rc == 0 && put(fd, end, (size_t)len) == 0)
		return fd;
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

static size_t
list_length(const struct conn_list *list)
{
	const struct conn *conn;
	size_t count = 0;

	TAILQ_FOREACH (conn, list, link)
		count++;
	return count;
}

/* How many of list, from the first, the manager has; -1 with errno: none. */
static ssize_t
store(struct conn_list *list, struct counters *counters)
{
	const struct conn *conn;
	size_t count = 0;
	int state_fd = write_states(list, counters);

	if (state_fd == -1)
		return -1;
	int *fds = malloc((list_length(list) + 1) * sizeof(*fds));
	ssize_t stored = -1;
	if (fds != NULL && fdstore_put(FDSTORE_STATE, &state_fd, 1) == 1) {
		TAILQ_FOREACH (conn, list, link)
			fds[count++] = conn->fd;
		stored = (ssize_t)fdstore_put(FDSTORE_CONN, fds, count);
	}
	int saved_errno = errno;
	close(state_fd);
	free(fds);
	errno = saved_errno;
	return stored;
}

void
handover_give(struct conn_list *list, struct counters *counters)
{
	struct conn *conn;
	size_t count = list_length(list);
	ssize_t stored = 0;

	if (count > 0)
		stored = store(list, counters);
	if (stored < (ssize_t)count)
		log_error("%zu connections could not be handed over: %s",
		    count - (size_t)(stored < 0 ? 0 : stored), strerror(errno));
	while ((conn = TAILQ_FIRST(list)) != NULL) {
		if (stored-- <= 0) {
			drop(list, conn, counters);
			continue;
		}
		TAILQ_REMOVE(list, conn, link);
		counters_add(counters, COUNTER_HANDED_OVER, 1);
		conn_leave(conn);
	}
	if (count > 0 && fdstore_sync() == -1)
		log_error("the service manager does not confirm that it has "
			  "the connections");
}

/* Reads the line of a record, which begins at *at; moves on behind its bytes. */
static bool
parse_record(const char *text, size_t len, size_t *at,
    struct handover_record *record)
{
	struct conn_state *state = &record->state;
	char line[LINE_MAX_LEN], protocol_text[16], framing_text[16];
	int line_start, line_len = -1;
	long long seconds;
	size_t room = len - *at < sizeof(line) - 1 ? len - *at
	                                           : sizeof(line) - 1;

	memcpy(line, text + *at, room);
	line[room] = '\0';
	if (sscanf(line,
		"%" SCNu64 " %15s %15s %d %lld %ld %" SCNu64 " %zu %zu%n",
		&record->cookie, protocol_text, framing_text, &line_start,
		&seconds, &state->arrived.tv_nsec, &state->messages,
		&state->out_len, &state->in_len, &line_len) != 9 ||
	    line_len == -1 || line[line_len] != '\n')
		return false;
	*at += (size_t)line_len + 1;
	int protocol = protocol_parse(protocol_text);
	int framing = framing_parse(framing_text);
	if (protocol == -1 || framing == -1 || state->out_len > len - *at ||
	    state->in_len > len - *at - state->out_len)
		return false;
	if (seconds < 0 || seconds >= SECONDS_END ||
	    state->arrived.tv_nsec < 0 || state->arrived.tv_nsec > 999999999)
		return false;
	state->protocol = (enum protocol)protocol;
	state->framing = (enum framing)framing;
	state->line_start = line_start != 0;
	state->arrived.tv_sec = (time_t)seconds;
	state->bytes = text + *at;
	*at += state->out_len + state->in_len;
	return true;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = ((const struct handover_record *)a)->cookie;
	uint64_t y = ((const struct handover_record *)b)->cookie;

	return (x > y) - (x < y);
}

/* Whether text from at on is the end that belongs to count records. */
static bool
is_end(const char *text, size_t len, size_t at, size_t count)
{
	char end[32];
	size_t end_len = (size_t)snprintf(end, sizeof(end), "end %zu\n", count);

	return len - at == end_len && memcmp(text + at, end, end_len) == 0;
}

struct handover_record *
handover_parse(const char *text, size_t len, size_t *count)
{
	struct handover_record *records = NULL, *grown;
	size_t at = strlen(HEAD), room = 0;

	*count = 0;
	if (len < at || memcmp(text, HEAD, at) != 0)
		goto invalid;
	while (!is_end(text, len, at, *count)) {
		if (*count >= room) {
			room = room * 2 + 64;
			grown = reallocarray(records, room, sizeof(*records));
			if (grown == NULL) {
				free(records);
				*count = 0;
				return NULL;
			}
			records = grown;
		}
		if (!parse_record(text, len, &at, &records[*count]))
			goto invalid;
		++*count;
	}
	if (records == NULL)
		return calloc(1, sizeof(*records));
	qsort(records, *count, sizeof(*records), compare);
	return records;
invalid:
	free(records);
	*count = 0;
	errno = EINVAL;
	return NULL;
}

/* All that the file holds, to be freed; NULL with errno. */
static char *
read_all(int fd, size_t *len)
{
	struct stat status;

	if (fstat(fd, &status) == -1)
		return NULL;
	char *text = malloc((size_t)status.st_size + 1);
	if (text == NULL)
		return NULL;
	ssize_t n = pread(fd, text, (size_t)status.st_size, 0);
	if (n == status.st_size) {
		*len = (size_t)n;
		return text;
	}
	free(text);
	errno = EIO;
	return NULL;
}

/* The states that were passed; *text holds them.  NULL: none, or unreadable. */
static struct handover_record *
read_states(const struct fdstore_fd *fds, size_t count, char **text,
    size_t *record_count)
{
	struct handover_record *records = NULL;
	size_t i = 0, len = 0;

	*text = NULL;
	*record_count = 0;
	while (i < count && strcmp(fds[i].name, FDSTORE_STATE) != 0)
		i++;
	if (i == count)
		return NULL;
	*text = read_all(fds[i].fd, &len);
	if (*text != NULL)
		records = handover_parse(*text, len, record_count);
	if (records == NULL)
		log_error("the connections' states can't be read: %s",
		    errno == EINVAL ? "they are of another version"
				    : strerror(errno));
	return records;
}

static struct conn *
restore(int fd, const struct handover_record *records, size_t record_count)
{
	struct handover_record key, *found = NULL;

	if (record_count > 0 && cookie_of(fd, &key.cookie) == 0)
		found = bsearch(&key, records, record_count, sizeof(key),
		    compare);
	return found == NULL ? NULL
	                     : conn_restore(fd, &found->state, clock_ms());
}

void
handover_take(struct fdstore_fd *fds, size_t count, struct conn_list *list,
    struct counters *counters)
{
	size_t record_count, taken = 0, unknown = 0;
	char *text;
	struct handover_record *records = read_states(fds, count, &text,
	    &record_count);

	for (size_t i = 0; i < count; i++) {
		if (strcmp(fds[i].name, FDSTORE_CONN) != 0)
			continue;
		struct conn *conn = restore(fds[i].fd, records, record_count);
		taken++;
		if (conn == NULL) {
			shutdown(fds[i].fd, SHUT_RDWR);
			unknown++;
			continue;
		}
		TAILQ_INSERT_TAIL(list, conn, link);
		fds[i].fd = -1;
	}
	counters_add(counters, COUNTER_TAKEN_OVER, taken);
	counters_add(counters, COUNTER_CLOSED_UNKNOWN, unknown);
	free(records);
	free(text);
	if (taken == 0)
		return;
	fdstore_remove(FDSTORE_CONN);
	fdstore_remove(FDSTORE_STATE);
	if (fdstore_sync() == -1)
		log_warning("the service manager does not confirm that it has "
			    "let go of the connections");
	log_info("took over %zu connections%s", taken - unknown,
	    unknown > 0 ? "; closed others whose state was missing" : "");
}
