/*
 * A script for a connection over a socket pair with small buffers: the client
 * sends, the server is called, the client reads, half-closes, the server stops.
 * What the client gets is compared with the result of a slow version.  The first
 * byte of the input is the kind of connection; each further pair of bytes is an
 * action and its size.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "stream/conn.h"

#define STAMP "[%] " /* of the format "%%": the same at any time */
#define STAMP_LEN 4
#define INPUT_MAX (128 << 10)
#define OUT_MAX (INPUT_MAX * (STAMP_LEN + 1) + 65536)
#define RECORDS_MAX 4096
#define BUFFER 4096 /* of the sockets: small, so that it fills up */

/*
 * What the client sent (input), must get (wanted) and got.  Records have their
 * length in front.
 */
static struct {
	struct conn *conn; /* NULL: closed */
	struct stamp stamp;
	struct conn_io io;
	int client;
	bool records, lines, line_start, half_closed;
	char input[INPUT_MAX], wanted[OUT_MAX], got[OUT_MAX];
	size_t input_len, taken, wanted_len, got_len;
	uint32_t record[RECORDS_MAX];
	size_t record_count, record_taken;
	struct counters counters;
} world;

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

static void
put(char *to, size_t *len, const void *data, size_t size)
{
	ensure(*len + size <= OUT_MAX);
	memcpy(to + *len, data, size);
	*len += size;
}

/* The slow version: adds the reply to the next len bytes of input. */
static void
want(size_t len)
{
	const char *data = world.input + world.taken;
	uint32_t size = (uint32_t)len + STAMP_LEN;

	if (world.records)
		put(world.wanted, &world.wanted_len, &size, sizeof(size));
	if (!world.lines)
		put(world.wanted, &world.wanted_len, STAMP, STAMP_LEN);
	for (size_t i = 0; i < len; i++) {
		if (world.lines && world.line_start)
			put(world.wanted, &world.wanted_len, STAMP, STAMP_LEN);
		put(world.wanted, &world.wanted_len, data + i, 1);
		world.line_start = data[i] == '\n';
	}
	world.taken += len;
}

static void
client_send(size_t len, unsigned line)
{
	char *at = world.input + world.input_len;

	if (world.half_closed || len > INPUT_MAX - world.input_len ||
	    world.record_count == RECORDS_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		at[i] = (char)(i % line == line - 1 ? '\n' : 'a' + i % 26);
	ssize_t n = send(world.client, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1)
		return;
	world.input_len += (size_t)n;
	if (world.records)
		world.record[world.record_count++] = (uint32_t)n;
}

static bool
client_read(size_t len)
{
	static char piece[1 << 16];
	ssize_t n = recv(world.client, piece,
	    world.records ? sizeof(piece) : len, MSG_DONTWAIT);
	uint32_t size = (uint32_t)n;

	if (n <= 0)
		return false;
	if (world.records)
		put(world.got, &world.got_len, &size, sizeof(size));
	put(world.got, &world.got_len, piece, (size_t)n);
	ensure(world.got_len <= world.wanted_len);
	ensure(memcmp(world.got, world.wanted, world.got_len) == 0);
	return true;
}

static void
follow(enum conn_want next)
{
	world.conn->want = next;
	if (next != CONN_WANT_CLOSE)
		return;
	enum close_reason reason = world.conn->close_reason;
	ensure(reason == CLOSE_CLIENT || reason == CLOSE_STOP);
	conn_close(world.conn, &world.counters, reason, 0);
	world.conn = NULL;
}

static void
serve(void)
{
	if (world.conn == NULL)
		return;
	uint64_t bytes = world.conn->bytes_in;
	uint64_t messages = world.conn->messages;
	enum conn_want before = world.conn->want;
	enum conn_want next = conn_ready(world.conn, &world.io);
	if (before == CONN_WANT_READ && world.records) {
		if (world.conn->messages > messages)
			want(world.record[world.record_taken++]);
	} else if (before == CONN_WANT_READ && world.conn->bytes_in > bytes) {
		want(world.conn->bytes_in - bytes);
	}
	follow(next);
}

/* In a stop a worker treats a connection without new input this way. */
static void
finish(void)
{
	size_t taken = world.taken, records = world.record_taken;

	if (world.conn == NULL || world.conn->want != CONN_WANT_READ)
		return;
	serve();
	if (world.conn != NULL && world.conn->want == CONN_WANT_READ &&
	    world.taken == taken && world.record_taken == records)
		follow(conn_finish(world.conn));
}

static void
act(unsigned action, unsigned size)
{
	switch (action % 6) {
	case 0:
		client_send(size * 61 + (world.records ? 0 : 1), size % 23 + 1);
		break;
	case 1:
		client_send(world.records ? size : size % 4 + 1, size % 3 + 1);
		break;
	case 2:
		serve();
		break;
	case 3:
		client_read(size * 67 + 1);
		break;
	case 4:
		finish();
		break;
	default:
		if (size < 64) {
			shutdown(world.client, SHUT_WR);
			world.half_closed = true;
		}
	}
}

static void
begin(uint8_t kind)
{
	int ends[2], on = 1, buffer = BUFFER;
	struct stamp_format format;

	world.records = kind % 3 == 2;
	world.lines = kind % 3 == 1;
	ensure(socketpair(AF_UNIX, world.records ? SOCK_SEQPACKET : SOCK_STREAM,
		   0, ends) == 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	if (world.records)
		setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	else
		setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer,
		    sizeof(buffer));
	world.client = ends[1];
	world.conn = conn_new(ends[0],
	    world.records ? PROTOCOL_UNIX_SEQPACKET : PROTOCOL_UNIX,
	    world.lines ? FRAMING_LINE : FRAMING_CHUNK, 0);
	ensure(world.conn != NULL);
	ensure(stamp_format_compile(&format, "%%", NULL, 0) == 0);
	world.io.stamp = &world.stamp;
	stamp_init(&world.stamp, &format);
	world.io.counters = &world.counters;
	world.line_start = true;
	world.half_closed = false;
	world.input_len = world.taken = world.wanted_len = world.got_len = 0;
	world.record_count = world.record_taken = 0;
}

/* The client half-closes, reads to the end, and must have got everything. */
static void
end(void)
{
	bool stopped = world.conn && world.conn->want == CONN_WANT_LINGER;

	shutdown(world.client, SHUT_WR);
	do {
		serve();
		while (client_read(1 << 16))
			;
	} while (world.conn != NULL);
	while (client_read(1 << 16))
		;
	ensure(world.got_len == world.wanted_len);
	/* Input after the server has shut down its side is not answered. */
	ensure(stopped || counters_get(&world.counters, COUNTER_CLOSED_STOP) ||
	       world.taken == world.input_len);
	close(world.client);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	memset(&world.counters, 0, sizeof(world.counters));
	begin(data[0]);
	for (size_t i = 1; i + 1 < size; i += 2)
		act(data[i], data[i + 1]);
	end();
	return 0;
}
