#ifndef PIPE_TRAFFIC_H
#define PIPE_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lines/account.h"
#include "lines/reply.h"
#include "pipe/carrier.h"
#include "pipe/output.h"
#include "pipe/printer.h"
#include "pipe/window.h"

#define TRAFFIC_GOES_ON (-1)

/*
 * The lines on their way: from the input to the window, to the server, and
 * their replies to the output.  Each function does what can be done at once;
 * what it cannot go on with sets status, after a message.
 */
struct traffic {
	const struct client_options *options;
	struct window window;
	struct account account;
	struct reply reply;
	struct output output;
	struct printer printer;
	struct carrier carrier;
	uint64_t now_ms;
	char *data; /* what was received: data_at to data_len is not read yet */
	size_t data_at, data_len;
	bool input_ended;
	bool stopped;      /* the input, which may have more */
	bool is_full;      /* the socket: wait until it is writable */
	bool cannot_send;  /* what the server sent before may still come */
	uint64_t asked_ms; /* when the wait for the next reply began */
	uint64_t progress; /* of a long line and its reply, when last seen */
	uint64_t resend_ms, resend_after_ms; /* datagrams */
	uint64_t replies; /* where each line goes by itself: how many */
	unsigned foreign; /* replies in a row */
	bool warned;      /* that the server stamps pieces */
	bool hinted;      /* that it may limit datagrams */
	/* Empty datagrams that ask whether only a long one is not answered. */
	bool probed;
	unsigned refusals; /* signs that the line is too long for the server */
	int end_status;    /* once all lines are answered */
	bool nobody_reads; /* the output: not an error */
	int status;        /* TRAFFIC_GOES_ON, or an exit status */
};

/*
 * Returns 0, or an exit status after a message; free it in any case.  options
 * must outlive it.
 */
int traffic_init(struct traffic *traffic, const struct client_options *options);
void traffic_free(struct traffic *traffic);

/* Connects if it is time to. */
void traffic_connect(struct traffic *traffic);

/* There is a new connection, or there is not: as carrier_take says. */
void traffic_connected(struct traffic *traffic);

/* How much of the input may be read. */
size_t traffic_room(const struct traffic *traffic);

/* The input is readable, and there is room. */
void traffic_read_input(struct traffic *traffic);

/*
 * No more input is read, though there may be more: the part of a line stays in
 * a spool, else it counts as a line.
 */
void traffic_stop_input(struct traffic *traffic);

/* Sends what may be sent. */
void traffic_send(struct traffic *traffic);

/* Sends the datagram again whose reply has not come. */
void traffic_send_again(struct traffic *traffic);

/* Whether the reply to a datagram that was sent could have come. */
bool traffic_awaits_datagram(const struct traffic *traffic);

/* The socket is readable, and nothing is left to write. */
void traffic_receive(struct traffic *traffic);

/* Writes, and reads replies as far as their output is taken. */
void traffic_write(struct traffic *traffic);

/* All lines that were sent are answered, and there will be no others: ends. */
void traffic_end(struct traffic *traffic);

/* At the end: releases what was written, and says what is left and where. */
void traffic_say_left(struct traffic *traffic);

#endif
