#ifndef LINES_REPLY_H
#define LINES_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "stamp/framing.h"
#include "stamp/stamp.h"

/*
 * Reads the replies of one stream: "[stamp] " and the line that was sent, byte
 * for byte.  It takes them in pieces of any size.  Pure: no I/O and no clock.
 *
 * A server that stamps each piece of data as it was received may answer several
 * lines under one stamp, and put stamps into a line.  Such replies are told
 * from others by the lines, which are known; a stamp inside a line is dropped.
 */
struct reply {
	size_t stamp_len; /* of the last reply; 0: there was none */
	bool pieces;      /* the server stamps pieces, not lines */
	/* The next line was sent alone, so that it has a stamp of its own. */
	bool alone;
	/* A reply that is matched while it comes: */
	bool begun, in_stamp;
	size_t matched; /* bytes of its line */
	size_t len;     /* of the stamp that comes */
	char stamp[STAMP_TEXT_MAX];
	size_t first_len; /* of the stamp that the line begins under */
	char first[STAMP_TEXT_MAX];
};

enum reply_kind {
	REPLY_PART,    /* more has to come */
	REPLY_WHOLE,   /* the line is answered */
	REPLY_FOREIGN, /* this is not a stamp and the line */
};

struct reply_found {
	size_t consumed; /* bytes of data, whatever the kind */
	/* Of a whole reply; valid until the next call, or as long as data. */
	struct framing_text stamp;
};

struct reply_run {
	size_t consumed; /* bytes of data */
	size_t lines_len;
};

/* Why a connection whose reply is foreign is not used. */
#define REPLY_FOREIGN_TEXT                                                     \
	"this is not a timestamp server: a reply is not [stamp] and the line"

/* The first bytes of a new connection follow. */
void reply_reset(struct reply *reply);

/*
 * Takes the whole replies at the beginning of data whose stamps are as long as
 * the last one, for the first of lines, which all end in a newline: the quick
 * way, which needs reply_next for all other replies.
 */
struct reply_run reply_run(struct reply *reply, struct framing_text data,
    struct framing_text lines);

/*
 * Reads the reply to line, the last byte of which is a newline but at the end
 * of the input.  A part may consume less than data, and needs the rest again
 * with more behind it.
 */
enum reply_kind reply_next(struct reply *reply, struct framing_text data,
    struct framing_text line, struct reply_found *found);

/* Whether a datagram is the reply to an empty one: a stamp only. */
bool reply_is_bare(struct framing_text data);

#endif
