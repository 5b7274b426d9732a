/*
 * The control socket: several clients that connect, send records of any bytes,
 * too many or none, go away or say nothing.  Each client that waits gets one
 * answer, the right one, and no client keeps another waiting.
 *
 * The input is a script: each byte is an action and a client; a record has its
 * kind and its bytes behind it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "fuzz.h"
#include "server/server.h"

#define CLIENTS 4
#define RECORD_MAX 64
#define REQUEST_MAX 31   /* bytes of a record that the server reads */
#define PATIENCE_MS 2000 /* for a client that says nothing */
#define ACTIONS_MAX 200
#define TURNS_MAX (4 * ACTIONS_MAX) /* of the main loop, for all clients */
#define FOLDER "/tmp/fuzz-XXXXXX"

static struct {
	struct server server;
	struct config *config;
	char folder[sizeof(FOLDER)];
	uint64_t now_ms;
	struct client {
		int fd; /* -1: not connected */
		bool has_sent;
		int status;  /* for its first record */
		int answers; /* that it got */
	} clients[CLIENTS];
} world;

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

static void
end(void)
{
	control_close(&world.server);
	config_free(world.config);
	rmdir(world.folder);
}

/* A server that is stopping, without threads: it refuses to reload. */
static void
begin(void)
{
	strcpy(world.folder, FOLDER);
	ensure(mkdtemp(world.folder) != NULL);
	ensure(config_load(&world.config, &(struct config_source){ 0 },
		   stderr) == 0);
	snprintf(world.config->control, sizeof(world.config->control),
	    "%s/control", world.folder);
	world.server.config = world.config;
	world.server.state = SHUTDOWN_DRAINING;
	world.server.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	world.server.control.client_fd = -1;
	world.server.control.deadline_ms = UINT64_MAX;
	log_set_level(LOG_ERR);
	control_open(&world.server);
	ensure(world.server.control.listener != NULL);
	atexit(end);
	for (int i = 0; i < CLIENTS; i++)
		world.clients[i].fd = -1;
}

static void
client_connect(struct client *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (client->fd != -1)
		return;
	strcpy(address.sun_path, world.config->control);
	*client = (struct client){ .fd = socket(AF_UNIX,
				       SOCK_SEQPACKET | SOCK_NONBLOCK, 0) };
	ensure(connect(client->fd, (struct sockaddr *)&address,
		   sizeof(address)) == 0);
}

static void
client_close(struct client *client)
{
	if (client->fd != -1)
		close(client->fd);
	client->fd = -1;
}

/* What the server must say to a record: the slow version. */
static int
status_of(const char *record, size_t len)
{
	static const struct {
		const char *request;
		int status;
	} requests[] = { { "reload", EX_TEMPFAIL }, { "counters", 0 },
		{ "counters json", 0 } };

	/* A client may end its request with a NUL. */
	len = strnlen(record, len < REQUEST_MAX ? len : REQUEST_MAX);
	for (int i = 0; i < 3; i++)
		if (len == strlen(requests[i].request) &&
		    memcmp(record, requests[i].request, len) == 0)
			return requests[i].status;
	return EX_USAGE;
}

/* Sends a record of kind and of the bytes behind it; returns those it took. */
static size_t
client_send(struct client *client, const uint8_t *script, size_t left)
{
	static const char *const starts[] = { "", "reload", "counters",
		"counters json" };
	char record[RECORD_MAX];
	size_t len = strlen(starts[script[0] & 3]);
	size_t more = (script[0] >> 2) % (RECORD_MAX - 16);

	memcpy(record, starts[script[0] & 3], len);
	more = more < left - 1 ? more : left - 1;
	memcpy(record + len, script + 1, more);
	len += more;
	/* A client that has its answer is not connected any longer.  The server
	 * takes an empty record for the end. */
	if (client->fd != -1 && len > 0 &&
	    send(client->fd, record, len, MSG_NOSIGNAL) == (ssize_t)len &&
	    !client->has_sent) {
		client->has_sent = true;
		client->status = status_of(record, len);
	}
	return 1 + more;
}

static void
check_answer(struct client *client, const char *answer, ssize_t len)
{
	int status, end = 0;

	ensure(client->has_sent && client->answers++ == 0);
	ensure(sscanf(answer, "%d%n", &status, &end) == 1);
	ensure(status == client->status && answer[end] == '\n');
	ensure(strlen(answer) == (size_t)len && answer[len - 1] == '\n');
}

/* Reads what has come; closes at the end. */
static void
client_read(struct client *client)
{
	char answer[20000];
	ssize_t n;

	if (client->fd == -1)
		return;
	do {
		n = recv(client->fd, answer, sizeof(answer) - 1, 0);
		answer[n > 0 ? n : 0] = '\0';
		if (n > 0)
			check_answer(client, answer, n);
		/* A reset tells of a second record, and hides no answer. */
	} while (n > 0 || (n == -1 && errno == ECONNRESET));
	if (n == 0)
		client_close(client);
}

/* Handles what is ready, as the server's loop does; false: nothing was. */
static bool
serve(void)
{
	struct epoll_event event;

	if (world.server.control.deadline_ms > world.now_ms &&
	    epoll_wait(world.server.epoll_fd, &event, 1, 0) != 1)
		return false;
	control_handle(&world.server, world.now_ms);
	return true;
}

static size_t
act(const uint8_t *script, size_t left)
{
	struct client *client = &world.clients[script[0] % CLIENTS];

	switch (script[0] / CLIENTS % 8) {
	case 0:
	case 1:
		client_connect(client);
		return 1;
	case 2:
		client_close(client);
		return 1;
	case 3:
		client_read(client);
		return 1;
	case 4:
	case 5:
		return left < 2 ? 1
		                : 1 + client_send(client, script + 1, left - 1);
	case 6:
		world.now_ms += script[0] * 10UL;
		return 1;
	default:
		serve();
		return 1;
	}
}

/* Every client that still waits has been answered or closed in the end. */
static void
finish(void)
{
	for (int i = 0; i < 2 * CLIENTS + 2; i++) {
		for (int turns = 0; serve(); turns++)
			ensure(turns < TURNS_MAX);
		world.now_ms += PATIENCE_MS;
	}
	for (int i = 0; i < CLIENTS; i++) {
		struct client *client = &world.clients[i];
		bool was_open = client->fd != -1;
		client_read(client);
		ensure(client->fd == -1);
		ensure(!was_open || client->answers == client->has_sent);
	}
	ensure(world.server.control.client_fd == -1);
	ensure(world.server.control.deadline_ms == UINT64_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int actions = 0;

	if (world.config == NULL)
		begin();
	for (size_t at = 0; at < size && actions < ACTIONS_MAX; actions++)
		at += act(data + at, size - at);
	finish();
	return 0;
}
