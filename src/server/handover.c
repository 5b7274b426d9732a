#include "server/handover.h"

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

#include "base/clock.h"
#include "base/log.h"
#include "net/cmsg.h"
#include "net/sockopt.h"

/* To be changed with anything in what follows it. */
#define HEAD "timestampd connections 1\n"
#define LINE_MAX_LEN 256
#define PLACE_MAX 25000 /* 100 batches: the buffer of a socket has room */
#define SECONDS_MAX 253402300799 /* of the year 9999 */
#define NANOSECONDS_MAX 999999999
#define FIELDS 9

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

	if (sockopt_cookie(conn->fd, &cookie) == -1)
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

/*
 * A file with the states of list; -1 with errno.  Those that don't go in move
 * to rest, with *problem.
 */
static int
write_states(struct conn_list *list, struct conn_list *rest, int *problem)
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
		if (put_record(fd, conn) == 0) {
			count++;
			continue;
		}
		*problem = errno;
		TAILQ_REMOVE(list, conn, link);
		TAILQ_INSERT_TAIL(rest, conn, link);
	}
	int len = snprintf(end, sizeof(end), "end %zu\n", count);
	if (rc == 0 && put(fd, end, (size_t)len) == 0)
		return fd;
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

/* Sends those of list; frees what has gone, and leaves the rest in it. */
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

static void
close_quietly(int fd)
{
	int saved_errno = errno;

	close(fd);
	errno = saved_errno;
}

/*
 * Has the manager keep those of list, in one place.  Those that it does not get
 * move to rest, with *problem.
 */
static void
store(struct conn_list *list, struct conn_list *rest, int *problem,
    struct counters *counters)
{
	int ends[2], rc = -1;
	int states = write_states(list, rest, problem);

	if (states != -1 &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, ends) == 0) {
		if (cmsg_send_fds(ends[0], &states, 1) == 0 &&
		    fdstore_put(FDSTORE_CONNECTIONS, ends[1]) == 0)
			rc = send_list(ends[0], list, counters);
		close_quietly(ends[0]);
		close_quietly(ends[1]);
	}
	if (rc == -1)
		*problem = errno;
	if (states != -1)
		close(states);
	TAILQ_CONCAT(rest, list, link);
}

/* Moves connections from list to some, as many as have place in one pair. */
static void
take_some(struct conn_list *list, struct conn_list *some)
{
	struct conn *conn;

	for (int i = 0; i < PLACE_MAX && !TAILQ_EMPTY(list); i++) {
		conn = TAILQ_FIRST(list);
		TAILQ_REMOVE(list, conn, link);
		TAILQ_INSERT_TAIL(some, conn, link);
	}
}

size_t
handover_places(size_t count)
{
	return (count + PLACE_MAX - 1) / PLACE_MAX;
}

void
handover_store(struct conn_list *list, struct counters *counters)
{
	struct conn_list some = TAILQ_HEAD_INITIALIZER(some);
	struct conn_list rest = TAILQ_HEAD_INITIALIZER(rest);
	int problem = 0;

	if (TAILQ_EMPTY(list))
		return;
	while (!TAILQ_EMPTY(list)) {
		take_some(list, &some);
		store(&some, &rest, &problem, counters);
	}
	TAILQ_CONCAT(list, &rest, link);
	if (!TAILQ_EMPTY(list))
		log_error("not all connections can be handed over: %s",
		    strerror(problem));
	if (fdstore_sync() == -1)
		log_error("the service manager does not confirm that it has "
			  "the connections");
}

/* A number of decimal digits alone, up to max. */
static bool
parse_number(const char *word, uint64_t max, uint64_t *number)
{
	if (word == NULL || word[0] == '\0' ||
	    word[strspn(word, "0123456789")] != '\0')
		return false;
	errno = 0;
	*number = strtoull(word, NULL, 10);
	return errno == 0 && *number <= max;
}

/* Reads the line of a record, without its end; bytes holds at most room. */
static bool
parse_line(char *line, const char *bytes, size_t room,
    struct handover_record *record)
{
	const uint64_t max[FIELDS] = { UINT64_MAX, 0, 0, 1, SECONDS_MAX,
		NANOSECONDS_MAX, UINT64_MAX, room, room };
	uint64_t numbers[FIELDS];
	int protocol = -1, framing = -1;

	for (int i = 0; i < FIELDS; i++) {
		const char *word = strsep(&line, " ");
		if (word == NULL)
			return false;
		if (i == 1)
			protocol = protocol_parse(word);
		else if (i == 2)
			framing = framing_parse(word);
		else if (!parse_number(word, max[i], &numbers[i]))
			return false;
	}
	if (line != NULL || protocol == -1 || framing == -1 ||
	    numbers[8] > room - numbers[7])
		return false;
	record->cookie = numbers[0];
	record->state = (struct conn_state){
		.protocol = (enum protocol)protocol,
		.framing = (enum framing)framing,
		.line_start = numbers[3] != 0,
		.arrived = { (time_t)numbers[4], (long)numbers[5] },
		.messages = numbers[6],
		.out_len = numbers[7],
		.in_len = numbers[8],
		.bytes = bytes,
	};
	return true;
}

/* Reads the record at *at, and moves on behind it. */
static bool
parse_record(const char *text, size_t len, size_t *at,
    struct handover_record *record)
{
	char line[LINE_MAX_LEN];
	const char *end = memchr(text + *at, '\n', len - *at);

	if (end == NULL || (size_t)(end - text) - *at >= sizeof(line))
		return false;
	size_t line_len = (size_t)(end - text) - *at;
	memcpy(line, text + *at, line_len);
	line[line_len] = '\0';
	*at += line_len + 1;
	if (memchr(line, '\0', line_len) != NULL ||
	    !parse_line(line, text + *at, len - *at, record))
		return false;
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

/* The records in the file that comes first; *text holds them. */
static struct handover_record *
receive_records(int carrier, char **text, size_t *count)
{
	struct handover_record *records = NULL;
	int fds[CMSG_FDS_MAX];
	size_t len = 0;

	*text = NULL;
	*count = 0;
	int n = cmsg_receive_fds(carrier, fds);
	if (n > 0)
		*text = read_all(fds[0], &len);
	if (*text != NULL)
		records = handover_parse(*text, len, count);
	if (n != 0 && records == NULL)
		log_error("the states of connections can't be read: %s",
		    errno == EINVAL ? "they are of another version"
				    : strerror(errno));
	while (n > 0)
		close(fds[--n]);
	return records;
}

static struct conn *
restore(int fd, const struct handover_record *records, size_t record_count)
{
	struct handover_record key, *found = NULL;

	if (record_count > 0 && sockopt_cookie(fd, &key.cookie) == 0)
		found = bsearch(&key, records, record_count, sizeof(key),
		    compare);
	return found == NULL ? NULL
	                     : conn_restore(fd, &found->state, clock_ms());
}

/* Adds to list what is in the pair, and counts it. */
static void
take_all(int carrier, struct conn_list *list, struct counters *counters)
{
	size_t record_count, received = 0;
	char *text;
	struct handover_record *records = receive_records(carrier, &text,
	    &record_count);
	int fds[CMSG_FDS_MAX], n;

	while ((n = cmsg_receive_fds(carrier, fds)) > 0) {
		counters_add(counters, COUNTER_TAKEN_OVER, (uint64_t)n);
		received += (size_t)n;
		for (int i = 0; i < n; i++) {
			struct conn *conn = restore(fds[i], records,
			    record_count);
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
	else if (received < record_count)
		log_warning("taking connections over: %zu of %zu did not come",
		    record_count - received, record_count);
	free(records);
	free(text);
}

void
handover_restore(struct fdstore_fd *fds, size_t count, struct conn_list *list,
    struct counters *counters)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		if (strcmp(fds[i].name, FDSTORE_CONNECTIONS) == 0) {
			any = true;
			take_all(fds[i].fd, list, counters);
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
