#ifndef PIPE_SILENCE_H
#define PIPE_SILENCE_H

#include <stdint.h>

#include "pipe/traffic.h"

/* What is done when no reply comes.  Times are of clock_ms(). */

/* When the reply of a stream is overdue by -W; UINT64_MAX: never, or said. */
uint64_t silence_begin_ms(const struct traffic *traffic);

/* That time has come: trouble, unless a long line goes on. */
void silence_note(struct traffic *traffic);

/* When -G says to give up; UINT64_MAX: never, or our output is the reason. */
uint64_t silence_end_ms(const struct traffic *traffic);

/* That time has come: ends, unless a long line goes on. */
void silence_give_up(struct traffic *traffic);

#endif
