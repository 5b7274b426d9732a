#include "server/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/cmsg.h"
#include "net/sockaddr.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define PLACE_MAX 25000 /* 100 records: the buffer of a socket has room */
#define SECONDS_MAX 253402300799 /* of the year 9999 */
#define NANOSECONDS_MAX 999999999

size_t
handover_places(size_t count)
{
	return (count + PLACE_MAX - 1) / PLACE_MAX;
}

/* -1 with errno, also when only a part could be written. */
static int
write_at(int fd, off_t at, const struct iovec pieces[2])
{
	ssize_t n = pwritev(fd, pieces, 2, at);

	if (n == (ssize_t)(pieces[0].iov_len + pieces[1].iov_len))
		return 0;
	if (n >= 0)
		errno = ENOSPC;
	return -1;
}

/* Of a Unix client the family is enough: nothing counts it. */
static struct handover_client
pack_client(const struct sockaddr_any *client)
{
	struct handover_client packed = {
		.family = client->any.sa_family,
		.port = htons(sockaddr_port(client)),
	};

	if (packed.family == AF_INET)
		memcpy(packed.ip, &client->in.sin_addr, 4);
	else if (packed.family == AF_INET6)
		memcpy(packed.ip, &client->in6.sin6_addr, 16);
	return packed;
}

/* False: it is not as pack_client makes it. */
static bool
unpack_client(const char *bytes, struct sockaddr_any *client)
{
	struct handover_client packed;

	memcpy(&packed, bytes, sizeof(packed));
	*client = (struct sockaddr_any){ .any.sa_family = packed.family };
	if (packed.family == AF_INET) {
		client->len = sizeof(client->in);
		client->in.sin_port = packed.port;
		memcpy(&client->in.sin_addr, packed.ip, 4);
	} else if (packed.family == AF_INET6) {
		client->len = sizeof(client->in6);
		client->in6.sin6_port = packed.port;
		memcpy(&client->in6.sin6_addr, packed.ip, 16);
	} else {
		client->len = offsetof(struct sockaddr_un, sun_path);
	}
	return packed.family == AF_INET || packed.family == AF_INET6 ||
	       packed.family == AF_UNIX;
}

/* Writes at *end, and moves it; -1 with errno. */
static int
append(int fd, off_t *end, const struct conn *conn)
{
	struct conn_state state;

	conn_save(conn, &state, clock_ms());
	struct {
		struct handover_entry entry;
		struct handover_client client;
	} head = { .entry = {
		       .messages = state.messages,
		       .idle_ms = state.idle_ms,
		       .out_len = state.out_len,
		       .in_len = state.in_len,
		       .arrived_s = (uint64_t)state.arrived.tv_sec,
		       .arrived_ns = (uint32_t)state.arrived.tv_nsec,
		       .protocol = state.protocol,
		       .framing = (uint16_t)state.framing,
		       .line_start = state.line_start,
		       .has_ended = state.has_ended,
		   } };
	size_t head_len = sizeof(head.entry);
	if (state.proxy != NULL)
		head.entry.proxy = (uint16_t)state.proxy->due;
	if (head.entry.proxy == PROXY_KNOWN) {
		head.client = pack_client(&state.proxy->client);
		head_len += sizeof(head.client);
	}
	struct iovec pieces[] = {
		{ &head, head_len },
		{ (char *)state.bytes, state.out_len + state.in_len },
	};
	if (write_at(fd, *end, pieces) == -1)
		return -1;
	*end += (off_t)(head_len + state.out_len + state.in_len);
	return 0;
}

/* Writes the head and seals the file, which is read in place. */
static int
complete(int fd, size_t count, off_t end)
{
	struct handover_head head = HANDOVER_HEAD((uint32_t)count);
	struct iovec pieces[] = { { &head, sizeof(head) }, { NULL, 0 } };

	if (write_at(fd, 0, pieces) == -1 || ftruncate(fd, end) == -1)
		return -1;
	return fcntl(fd, F_ADD_SEALS, SEALS);
}

/*
 * Makes a file with the states of the first *count connections of list.  Those
 * that can't be written move to failed, with *problem.  -1 with errno.
 */
static int
write_states(struct conn_list *list, size_t *count, struct conn_list *failed,
    int *problem)
{
	off_t end = sizeof(struct handover_head);
	int fd = memfd_create("connections", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct conn *next;

	*count = 0;
	if (fd == -1)
		return -1;
	for (struct conn *conn = TAILQ_FIRST(list);
	     conn != NULL && *count < PLACE_MAX; conn = next) {
		next = TAILQ_NEXT(conn, link);
		if (append(fd, &end, conn) == 0) {
			++*count;
			continue;
		}
		*problem = errno;
		TAILQ_REMOVE(list, conn, link);
		TAILQ_INSERT_TAIL(failed, conn, link);
	}
	if (complete(fd, *count, end) == 0)
		return fd;
	int saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

/* Sends the first count connections of list and frees them; -1 with errno. */
static int
send_conns(int carrier, struct conn_list *list, size_t count,
    struct counters *counters)
{
	int fds[CMSG_FDS_MAX];

	while (count > 0) {
		struct conn *conn = TAILQ_FIRST(list);
		size_t n = 0;
		for (; n < count && n < CMSG_FDS_MAX; n++) {
			fds[n] = conn->fd;
			conn = TAILQ_NEXT(conn, link);
		}
		if (cmsg_send_fds(carrier, fds, n) == -1)
			return -1;
		counters_add(counters, COUNTER_HANDED_OVER, n);
		for (count -= n; n > 0; n--) {
			conn = TAILQ_FIRST(list);
			TAILQ_REMOVE(list, conn, link);
			conn_free(conn);
		}
	}
	return 0;
}

/*
 * Fills one place of the store from list.  The carrier is our end of the pair.
 * If the store is full the manager closes its end, sending fails with EPIPE,
 * and no connection is lost.  -1 with errno: what was not sent stays in list.
 */
static int
fill_place(struct conn_list *list, struct conn_list *failed, int *problem,
    struct counters *counters)
{
	size_t count;
	int states_fd = write_states(list, &count, failed, problem);
	int carrier = -1, rc = -1;

	if (states_fd != -1)
		carrier = fdstore_put_pair(FDSTORE_CONNECTIONS);
	if (carrier != -1 && fdstore_sync() == -1)
		log_error("the service manager does not confirm that it keeps "
			  "the connections");
	if (carrier != -1 && cmsg_send_fds(carrier, &states_fd, 1) == 0)
		rc = send_conns(carrier, list, count, counters);
	int saved_errno = errno;
	if (carrier != -1)
		close(carrier);
	if (states_fd != -1)
		close(states_fd);
	errno = saved_errno;
	return rc;
}

void
handover_store(struct conn_list *list, struct counters *counters)
{
	struct conn_list failed = TAILQ_HEAD_INITIALIZER(failed);
	int problem = 0;

	while (!TAILQ_EMPTY(list))
		if (fill_place(list, &failed, &problem, counters) == -1) {
			problem = errno;
			break;
		}
	TAILQ_CONCAT(list, &failed, link);
	if (!TAILQ_EMPTY(list))
		log_error("not all connections can be handed over: %s",
		    problem == EPIPE ? "the service manager's store is full"
				     : strerror(problem));
}

/* Whether left bytes are enough for what is behind it, too. */
static bool
is_possible(const struct handover_entry *entry, size_t left)
{
	return entry->protocol < PROTOCOL_COUNT &&
	       entry->framing <= FRAMING_LINE && entry->line_start <= 1 &&
	       entry->has_ended <= 1 && entry->proxy < PROXY_COUNT &&
	       entry->arrived_s <= SECONDS_MAX &&
	       entry->arrived_ns <= NANOSECONDS_MAX && entry->out_len <= left &&
	       entry->in_len <= left - entry->out_len;
}

bool
handover_next(struct handover_file *file, struct conn_state *state)
{
	struct handover_entry entry;
	size_t left = file->len - file->at, client_len = 0;

	if (file->count == 0 || left < sizeof(entry))
		return false;
	const char *at = file->bytes + file->at;
	memcpy(&entry, at, sizeof(entry));
	at += sizeof(entry);
	left -= sizeof(entry);
	if (entry.proxy == PROXY_KNOWN)
		client_len = sizeof(struct handover_client);
	if (left < client_len || !is_possible(&entry, left - client_len) ||
	    (client_len > 0 && !unpack_client(at, &file->proxy.client)))
		return false;
	at += client_len;
	file->proxy.due = (enum proxy_due)entry.proxy;
	*state = (struct conn_state){
		.protocol = (enum protocol)entry.protocol,
		.framing = (enum framing)entry.framing,
		.line_start = entry.line_start,
		.arrived = { (time_t)entry.arrived_s, (long)entry.arrived_ns },
		.messages = entry.messages,
		.idle_ms = entry.idle_ms,
		.out_len = (size_t)entry.out_len,
		.in_len = (size_t)entry.in_len,
		.bytes = at,
		.has_ended = entry.has_ended,
		.proxy = entry.proxy != PROXY_NONE ? &file->proxy : NULL,
	};
	file->at = (size_t)(at - file->bytes) + state->out_len + state->in_len;
	file->count--;
	return true;
}

bool
handover_begin(struct handover_file *file, const char *bytes, size_t len)
{
	struct handover_head head, expected = HANDOVER_HEAD(0);
	struct conn_state state;

	*file = (struct handover_file){ bytes, len, sizeof(head), 0, { 0 } };
	if (len < sizeof(head))
		return false;
	memcpy(&head, bytes, sizeof(head));
	expected.count = head.count;
	if (memcmp(&head, &expected, sizeof(head)) != 0)
		return false;
	file->count = head.count;
	struct handover_file end = *file;
	while (handover_next(&end, &state))
		;
	if (end.count == 0 && end.at == len)
		return true;
	file->count = 0;
	return false;
}

/* Maps the file and checks it; -1 with errno. */
static int
map_states(int fd, struct handover_file *states)
{
	struct stat status;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || fstat(fd, &status) == -1)
		return -1;
	errno = EINVAL;
	if ((seals & SEALS) != SEALS)
		return -1;
	size_t len = (size_t)status.st_size;
	void *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	errno = EINVAL;
	return handover_begin(states, bytes, len) ? 0 : -1;
}

static void
receive_states(int carrier, struct handover_file *states)
{
	int fds[CMSG_FDS_MAX];
	int n = cmsg_receive_fds(carrier, fds);

	if (n == -1 || (n > 0 && map_states(fds[0], states) == -1))
		log_error("the states of connections can't be read: %s",
		    errno == EINVAL ? "they are of another version"
				    : strerror(errno));
	while (n > 0)
		close(fds[--n]);
}

/* Adds the connections in carrier to list, and counts them. */
static void
receive_conns(int carrier, struct conn_list *list, struct counters *counters)
{
	struct handover_file states = { 0 };
	struct conn_state state;
	int fds[CMSG_FDS_MAX], n;

	receive_states(carrier, &states);
	const size_t total = states.count;
	while ((n = cmsg_receive_fds(carrier, fds)) > 0) {
		counters_add(counters, COUNTER_TAKEN_OVER, (uint64_t)n);
		for (int i = 0; i < n; i++) {
			struct conn *conn = NULL;
			if (handover_next(&states, &state))
				conn = conn_restore(fds[i], &state, clock_ms());
			if (conn == NULL) {
				counters_add(counters, COUNTER_CLOSED_UNKNOWN,
				    1);
				close(fds[i]);
				continue;
			}
			TAILQ_INSERT_TAIL(list, conn, link);
		}
	}
	if (n == -1 && errno != EAGAIN)
		log_error("taking connections over: %s", strerror(errno));
	else if (states.count > 0)
		log_warning("taking connections over: %u of %zu did not come",
		    states.count, total);
	if (states.bytes != NULL)
		munmap((void *)states.bytes, states.len);
}

static int
compare_idle(const void *a, const void *b)
{
	uint64_t x = (*(struct conn *const *)a)->active_ms;
	uint64_t y = (*(struct conn *const *)b)->active_ms;

	return (x < y) - (x > y);
}

/* The longest quiet last, as a worker needs them for its timeouts. */
static void
sort(struct conn_list *list, size_t count)
{
	struct conn **conns = calloc(count + 1, sizeof(struct conn *));
	struct conn *conn;
	size_t n = 0;

	/* Else some are closed later than they could be. */
	if (conns == NULL)
		return;
	TAILQ_FOREACH (conn, list, link)
		conns[n++] = conn;
	qsort(conns, n, sizeof(struct conn *), compare_idle);
	TAILQ_INIT(list);
	for (size_t i = 0; i < n; i++)
		TAILQ_INSERT_TAIL(list, conns[i], link);
	free(conns);
}

void
handover_restore(struct fdstore_fd *fds, size_t count, struct conn_list *list,
    struct counters *counters)
{
	bool any = false;

	for (size_t i = 0; i < count; i++)
		if (strcmp(fds[i].name, FDSTORE_CONNECTIONS) == 0) {
			any = true;
			receive_conns(fds[i].fd, list, counters);
		}
	if (!any)
		return;
	fdstore_remove(FDSTORE_CONNECTIONS);
	uint64_t unknown = counters_get(counters, COUNTER_CLOSED_UNKNOWN);
	uint64_t known = counters_get(counters, COUNTER_TAKEN_OVER) - unknown;
	sort(list, known);
	log_info("took over %" PRIu64 " connections", known);
	if (unknown > 0)
		log_warning("closed %" PRIu64 " connections that came without "
			    "their state",
		    unknown);
}
