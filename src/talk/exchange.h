#ifndef TALK_EXCHANGE_H
#define TALK_EXCHANGE_H

#include <stdbool.h>

#include "lines/reply.h"
#include "timestampc/connection.h"
#include "timestampc/options.h"

/* One line and its reply after the other, each awaited. */
struct exchange {
	const struct client_options *options;
	struct connection connection;
	struct reply reply;
	char *data; /* what was received and not read */
	size_t len, size;
};

enum exchange_result {
	EXCHANGE_DONE,
	EXCHANGE_NONE, /* no reply in time */
	EXCHANGE_LOST, /* the connection: errno says why; 0: it was closed */
	EXCHANGE_TOO_LONG, /* for a datagram or record */
	EXCHANGE_FOREIGN,  /* the reply is not a stamp and the line */
	EXCHANGE_FAILED,   /* errno says why */
};

/* options must outlive exchange.  No connection is made yet. */
void exchange_init(struct exchange *exchange,
    const struct client_options *options);
void exchange_free(struct exchange *exchange);

/* Returns 0, or an exit status after a message. */
int exchange_connect(struct exchange *exchange);

/*
 * Sends line, which ends in a newline, and awaits its reply for as long as the
 * options say.  *stamp is valid until the next call.  A stream that has no
 * reply in time is closed: its reply could be taken for that of the next line.
 * So is UDP, where the next connection is to the next address of the name.
 */
enum exchange_result exchange_run(struct exchange *exchange,
    struct framing_text line, struct framing_text *stamp);

#endif
