#ifndef LINES_ACCOUNT_H
#define LINES_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stamp/framing.h"

/*
 * The account of lines: what was read, what is under way, what was answered.
 * Replies come in the order of the lines, one each, so one position says what
 * was answered; after a lost connection, sending begins again there.  Positions
 * count the bytes of the input.  Pure: no I/O and no clock.
 */

#define ACCOUNT_READS 512

/* How many lines may be under way. */
enum account_pace {
	ACCOUNT_ONE,  /* each needs its reply before the next is sent */
	ACCOUNT_TWO,  /* sent together: their stamps tell the framing */
	ACCOUNT_MANY, /* each line is known to get its own stamp */
};

/* When what begins at a position was read, in ms; thinned out when full. */
struct account_times {
	size_t count;
	uint64_t spacing_ms;
	struct account_read {
		uint64_t from, ms;
	} reads[ACCOUNT_READS];
};

struct account {
	enum account_pace pace, first_pace;
	/* answered <= sent <= whole <= end; whole is the end of a line. */
	uint64_t answered, sent, whole, end;
	uint64_t limit; /* what may be sent, at a pace of one or two */
	size_t limit_lines;
	uint64_t twice;   /* what went over an earlier connection */
	uint64_t waited;  /* what was read long before this connection */
	uint64_t sent_ms; /* when the line that is answered next was sent */
	struct account_times times;
};

/* An empty account that begins at a position. */
void account_init(struct account *account, enum account_pace pace,
    uint64_t position);

void account_read(struct account *account, struct framing_text input,
    uint64_t now_ms);

/* The input has ended: its last line needs no newline. */
void account_read_end(struct account *account);

/*
 * There is a connection, which has carried nothing: to a server whose framing
 * may differ from that of the one before.
 */
void account_connected(struct account *account, uint64_t now_ms);

/* What was not answered has to go again. */
void account_lost(struct account *account);

/*
 * How many bytes from position sent on may go now.  unanswered is what was read
 * and is not answered.
 */
size_t account_sendable(struct account *account, const char *unanswered);

void account_sent(struct account *account, size_t bytes);

/* Whole lines were answered. */
void account_answered(struct account *account, size_t bytes);

/* The server puts stamps where pieces begin: one line at a time from now on,
 * over this connection. */
void account_slow_down(struct account *account);

/* The length of the line that is answered next; 0: none was read. */
size_t account_line(const struct account *account, const char *unanswered);

/*
 * How much later than it was read to its end the line that is answered next was
 * sent, in ms, if a lost or missing connection was the reason; -1: it is in
 * time.
 */
int64_t account_late_ms(const struct account *account, const char *unanswered);

#endif
