#include "talk/exchange.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The largest datagram. */
#define PIECE_BYTES 65536

void
exchange_init(struct exchange *exchange, const struct client_options *options)
{
	*exchange = (struct exchange){ .options = options,
		.connection = { .fd = -1 } };
}

void
exchange_free(struct exchange *exchange)
{
	connection_close(&exchange->connection);
	free(exchange->data);
}

int
exchange_connect(struct exchange *exchange)
{
	struct connection *connection = &exchange->connection;
	int status = connection_open(connection, &exchange->options->target,
	    clock_ms() + exchange->options->wait_ns / 1000000);

	if (status != 0)
		fprintf(stderr, "timestampc: %s\n", connection->problem);
	else if (exchange->options->verbose)
		fprintf(stderr, "timestampc: connected to %s\n",
		    exchange->options->target.text);
	return status;
}

static bool
has_datagrams(const struct exchange *exchange)
{
	return protocol_is_datagram(exchange->options->target.protocol);
}

static enum exchange_result
lose(struct exchange *exchange, int problem)
{
	exchange->connection.skip++;
	connection_close(&exchange->connection);
	errno = problem;
	return EXCHANGE_LOST;
}

/* Whether the socket is ready before the deadline. */
static bool
await(const struct exchange *exchange, short events, uint64_t deadline_ms)
{
	struct pollfd socket = { exchange->connection.fd, events, 0 };
	int ready;

	do {
		uint64_t now_ms = clock_ms();
		int left = now_ms < deadline_ms ? (int)(deadline_ms - now_ms)
		                                : 0;
		ready = poll(&socket, 1, left);
	} while (ready == -1 && errno == EINTR);
	return ready > 0;
}

static enum exchange_result
send_all(struct exchange *exchange, struct framing_text line,
    uint64_t deadline_ms)
{
	while (line.len > 0) {
		ssize_t n = send(exchange->connection.fd, line.bytes, line.len,
		    MSG_NOSIGNAL);
		if (n == -1 && errno == EMSGSIZE)
			return EXCHANGE_TOO_LONG;
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return lose(exchange, errno);
		if (n == -1 && !await(exchange, POLLOUT, deadline_ms))
			return EXCHANGE_NONE;
		if (n > 0) {
			line.bytes += n;
			line.len -= (size_t)n;
		}
	}
	return EXCHANGE_DONE;
}

static enum exchange_result
receive(struct exchange *exchange)
{
	if (exchange->size - exchange->len < PIECE_BYTES) {
		size_t size = 2 * exchange->size + PIECE_BYTES;
		char *data = realloc(exchange->data, size);
		if (data == NULL)
			return EXCHANGE_FAILED;
		exchange->data = data;
		exchange->size = size;
	}
	ssize_t n = recv(exchange->connection.fd,
	    exchange->data + exchange->len, exchange->size - exchange->len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return EXCHANGE_DONE;
	if (n == -1 || (n == 0 && !has_datagrams(exchange)))
		return lose(exchange, n == 0 ? 0 : errno);
	exchange->len += (size_t)n;
	return EXCHANGE_DONE;
}

/* Reads what has come; EXCHANGE_NONE: the reply is not whole. */
static enum exchange_result
read_reply(struct exchange *exchange, struct framing_text line,
    struct framing_text *stamp)
{
	struct framing_text data = { exchange->data, exchange->len };
	struct reply_found found;
	enum reply_kind kind = reply_next(&exchange->reply, data, line, &found);

	*stamp = found.stamp;
	if (has_datagrams(exchange)) {
		exchange->len = 0;
		reply_reset(&exchange->reply);
		/* It may be the late reply to an earlier line. */
		if (kind == REPLY_FOREIGN && data.len > 0 &&
		    data.bytes[0] == '[')
			return EXCHANGE_NONE;
		if (kind == REPLY_PART && data.len > 0)
			return EXCHANGE_FOREIGN;
	} else if (kind != REPLY_WHOLE) {
		exchange->len -= found.consumed;
		memmove(exchange->data, exchange->data + found.consumed,
		    exchange->len);
	}
	return kind == REPLY_WHOLE   ? EXCHANGE_DONE
	     : kind == REPLY_FOREIGN ? EXCHANGE_FOREIGN
	                             : EXCHANGE_NONE;
}

enum exchange_result
exchange_run(struct exchange *exchange, struct framing_text line,
    struct framing_text *stamp)
{
	uint64_t deadline_ms = clock_ms() +
	                       exchange->options->wait_ns / 1000000;
	enum exchange_result result = send_all(exchange, line, deadline_ms);

	exchange->len = 0;
	reply_reset(&exchange->reply);
	while (result == EXCHANGE_DONE) {
		if (!await(exchange, POLLIN, deadline_ms)) {
			result = EXCHANGE_NONE;
			break;
		}
		result = receive(exchange);
		if (result != EXCHANGE_DONE || exchange->len == 0)
			continue;
		result = read_reply(exchange, line, stamp);
		if (result != EXCHANGE_NONE)
			return result;
		result = EXCHANGE_DONE;
	}
	if (result == EXCHANGE_NONE &&
	    (!has_datagrams(exchange) || exchange->connection.addresses > 1))
		lose(exchange, 0);
	return result;
}
