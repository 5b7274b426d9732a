#include "server/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/cmsg.h"
#include "net/sockopt.h"

/* Any change of the format changes the number. */
#define HEAD "timestampd connections 1\n"
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define LINE_MAX_LEN 256
#define PLACE_MAX 25000 /* 100 batches: the buffer of a socket has room */
#define SECONDS_MAX 253402300799 /* of the year 9999 */
#define NANOSECONDS_MAX 999999999

size_t
handover_places(size_t count)
{
	return (count + PLACE_MAX - 1) / PLACE_MAX;
}

static void
move_first(struct conn_list *from, struct conn_list *to)
{
	struct conn *conn = TAILQ_FIRST(from);

	TAILQ_REMOVE(from, conn, link);
	TAILQ_INSERT_TAIL(to, conn, link);
}

static int
format_line(char line[LINE_MAX_LEN], const struct handover_record *record)
{
	const struct conn_state *state = &record->state;

	return snprintf(line, LINE_MAX_LEN,
	    "%" PRIu64 " %s %s %d %lld %ld %" PRIu64 " %zu %zu\n",
	    record->cookie, protocol_name(state->protocol),
	    framing_name(state->framing), state->line_start,
	    (long long)state->arrived.tv_sec, state->arrived.tv_nsec,
	    state->messages, state->out_len, state->in_len);
}

/* Writes at *end, and moves it, or leaves both as they are: -1 with errno. */
static int
append(int fd, off_t *end, const char *line, const char *bytes, size_t len)
{
	struct iovec pieces[] = {
		{ (char *)line, strlen(line) },
		{ (char *)bytes, len },
	};
	ssize_t n = pwritev(fd, pieces, 2, *end);

	if (n == (ssize_t)(strlen(line) + len)) {
		*end += n;
		return 0;
	}
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

static int
append_conn(int fd, off_t *end, const struct conn *conn)
{
	struct handover_record record;
	char line[LINE_MAX_LEN];

	if (sockopt_cookie(conn->fd, &record.cookie) == -1)
		return -1;
	conn_save(conn, &record.state);
	format_line(line, &record);
	return append(fd, end, line, record.state.bytes,
	    record.state.out_len + record.state.in_len);
}

/*
 * A file with the states of connections of list, which move to some; those that
 * fail move to rest, with *problem.  -1 with errno.
 */
static int
write_states(struct conn_list *list, struct conn_list *some,
    struct conn_list *rest, int *problem)
{
	char line[LINE_MAX_LEN];
	size_t count = 0;
	off_t end = 0;
	int fd = memfd_create("connections", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -1;
	int rc = append(fd, &end, HEAD, NULL, 0);
	while (rc == 0 && count < PLACE_MAX && !TAILQ_EMPTY(list)) {
		if (append_conn(fd, &end, TAILQ_FIRST(list)) == 0) {
			move_first(list, some);
			count++;
		} else {
			*problem = errno;
			move_first(list, rest);
		}
	}
	snprintf(line, sizeof(line), "end %zu\n", count);
	/* The next process reads in place: the file must not change then. */
	if (rc == 0 && append(fd, &end, line, NULL, 0) == 0 &&
	    ftruncate(fd, end) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

/*
 * A socket whose other end the manager keeps.  Were its store full, sending
 * would fail with EPIPE: nothing is lost in it.
 */
static int
open_carrier(void)
{
	int fd = fdstore_put_pair(FDSTORE_CONNECTIONS);

	if (fd != -1 && fdstore_sync() == -1)
		log_error("the service manager does not confirm that it keeps "
			  "the connections");
	return fd;
}

/* Frees those of list that have gone; -1 with errno: the rest is in it. */
static int
send_list(int carrier, struct conn_list *list, struct counters *counters)
{
	struct conn *conn;
	int fds[CMSG_FDS_MAX];

	while (!TAILQ_EMPTY(list)) {
		size_t count = 0;
		TAILQ_FOREACH (conn, list, link) {
			if (count == CMSG_FDS_MAX)
				break;
			fds[count++] = conn->fd;
		}
		if (cmsg_send_fds(carrier, fds, count) == -1)
			return -1;
		counters_add(counters, COUNTER_HANDED_OVER, count);
		for (; count > 0; count--) {
			conn = TAILQ_FIRST(list);
			TAILQ_REMOVE(list, conn, link);
			conn_free(conn);
		}
	}
	return 0;
}

/* Fills one place of the store from list; what fails moves to rest. */
static void
store_some(struct conn_list *list, struct conn_list *rest, int *problem,
    struct counters *counters)
{
	struct conn_list some = TAILQ_HEAD_INITIALIZER(some);
	int states = write_states(list, &some, rest, problem);
	int carrier = states == -1 ? -1 : open_carrier();

	if (carrier == -1 || cmsg_send_fds(carrier, &states, 1) == -1 ||
	    send_list(carrier, &some, counters) == -1)
		*problem = errno;
	if (carrier != -1)
		close(carrier);
	if (states != -1)
		close(states);
	else
		TAILQ_CONCAT(rest, list, link);
	TAILQ_CONCAT(rest, &some, link);
}

void
handover_store(struct conn_list *list, struct counters *counters)
{
	struct conn_list rest = TAILQ_HEAD_INITIALIZER(rest);
	int problem = 0;

	while (!TAILQ_EMPTY(list))
		store_some(list, &rest, &problem, counters);
	TAILQ_CONCAT(list, &rest, link);
	if (!TAILQ_EMPTY(list))
		log_error("not all connections can be handed over: %s",
		    problem == EPIPE ? "the service manager's store is full"
				     : strerror(problem));
}

/*
 * Reads the line of a record; room bytes follow it.  That it is written back the
 * same rules out signs, spaces and numbers that are too large.
 */
static bool
parse_line(const char *line, size_t room, struct handover_record *record)
{
	char protocol_word[16], framing_word[16], again[LINE_MAX_LEN];
	struct conn_state *state = &record->state;
	long long seconds;
	int line_start;

	/* NOLINTNEXTLINE(cert-err34-c): see above */
	if (sscanf(line,
		"%" SCNu64 " %15s %15s %d %lld %ld %" SCNu64 " %zu %zu",
		&record->cookie, protocol_word, framing_word, &line_start,
		&seconds, &state->arrived.tv_nsec, &state->messages,
		&state->out_len, &state->in_len) != 9)
		return false;
	int protocol = protocol_parse(protocol_word);
	int framing = framing_parse(framing_word);
	if (protocol == -1 || framing == -1)
		return false;
	state->protocol = (enum protocol)protocol;
	state->framing = (enum framing)framing;
	state->line_start = line_start != 0;
	state->arrived.tv_sec = (time_t)seconds;
	format_line(again, record);
	return strcmp(line, again) == 0 && seconds >= 0 &&
	       seconds <= SECONDS_MAX && state->arrived.tv_nsec >= 0 &&
	       state->arrived.tv_nsec <= NANOSECONDS_MAX &&
	       state->out_len <= room && state->in_len <= room - state->out_len;
}

/* Reads the record at *at, and moves on behind it. */
static bool
parse_record(const char *text, size_t len, size_t *at,
    struct handover_record *record)
{
	char line[LINE_MAX_LEN];
	const char *end = memchr(text + *at, '\n', len - *at);
	size_t line_len = end == NULL ? 0 : (size_t)(end + 1 - text) - *at;

	if (line_len == 0 || line_len >= sizeof(line))
		return false;
	memcpy(line, text + *at, line_len);
	line[line_len] = '\0';
	*at += line_len;
	if (!parse_line(line, len - *at, record))
		return false;
	record->state.bytes = text + *at;
	*at += record->state.out_len + record->state.in_len;
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
	bool valid = len >= at && memcmp(text, HEAD, at) == 0;

	for (*count = 0; valid && !is_end(text, len, at, *count); ++*count) {
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
		valid = parse_record(text, len, &at, &records[*count]);
	}
	if (valid && records == NULL)
		return calloc(1, sizeof(*records));
	if (valid) {
		qsort(records, *count, sizeof(*records), compare);
		return records;
	}
	free(records);
	*count = 0;
	errno = EINVAL;
	return NULL;
}

/* What restores the connections of one carrier. */
struct states {
	char *text; /* the file in memory; or MAP_FAILED */
	size_t len, count;
	struct handover_record *records; /* NULL: none can be read */
};

/* Maps and parses the file; -1 with errno. */
static int
read_states(int fd, struct states *states)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || fstat(fd, &status) == -1)
		return -1;
	errno = EINVAL;
	if ((seals & SEALS) != SEALS)
		return -1;
	states->len = (size_t)status.st_size;
	states->text = mmap(NULL, states->len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (states->text == MAP_FAILED)
		return -1;
	states->records = handover_parse(states->text, states->len,
	    &states->count);
	return states->records == NULL ? -1 : 0;
}

static void
receive_states(int carrier, struct states *states)
{
	int fds[CMSG_FDS_MAX];
	int n = cmsg_receive_fds(carrier, fds);

	*states = (struct states){ .text = MAP_FAILED };
	if (n == -1 || (n > 0 && read_states(fds[0], states) == -1))
		log_error("the states of connections can't be read: %s",
		    errno == EINVAL ? "they are of another version"
				    : strerror(errno));
	while (n > 0)
		close(fds[--n]);
}

static void
free_states(struct states *states)
{
	free(states->records);
	if (states->text != MAP_FAILED)
		munmap(states->text, states->len);
}

/* NULL when its state isn't known. */
static struct conn *
restore(int fd, const struct states *states)
{
	struct handover_record key, *found = NULL;

	if (states->count > 0 && sockopt_cookie(fd, &key.cookie) == 0)
		found = bsearch(&key, states->records, states->count,
		    sizeof(key), compare);
	return found == NULL ? NULL
	                     : conn_restore(fd, &found->state, clock_ms());
}

/* Adds the connections in carrier to list, and counts them. */
static void
receive_all(int carrier, struct conn_list *list, struct counters *counters)
{
	struct states states;
	size_t received = 0;
	int fds[CMSG_FDS_MAX], n;

	receive_states(carrier, &states);
	while ((n = cmsg_receive_fds(carrier, fds)) > 0) {
		counters_add(counters, COUNTER_TAKEN_OVER, (uint64_t)n);
		received += (size_t)n;
		for (int i = 0; i < n; i++) {
			struct conn *conn = restore(fds[i], &states);
			if (conn != NULL) {
				TAILQ_INSERT_TAIL(list, conn, link);
				continue;
			}
			counters_add(counters, COUNTER_CLOSED_UNKNOWN, 1);
			close(fds[i]);
		}
	}
	if (n == -1 && errno != EAGAIN)
		log_error("taking connections over: %s", strerror(errno));
	else if (received < states.count)
		log_warning("taking connections over: %zu of %zu did not come",
		    states.count - received, states.count);
	free_states(&states);
}

void
handover_restore(struct fdstore_fd *fds, size_t count, struct conn_list *list,
    struct counters *counters)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		if (strcmp(fds[i].name, FDSTORE_CONNECTIONS) == 0) {
			any = true;
			receive_all(fds[i].fd, list, counters);
		}
	if (!any)
		return;
	fdstore_remove(FDSTORE_CONNECTIONS);
	uint64_t unknown = counters_get(counters, COUNTER_CLOSED_UNKNOWN);
	log_info("took over %" PRIu64 " connections",
	    counters_get(counters, COUNTER_TAKEN_OVER) - unknown);
	if (unknown > 0)
		log_warning("%" PRIu64 " connections came without a state, and "
			    "are closed",
		    unknown);
}
