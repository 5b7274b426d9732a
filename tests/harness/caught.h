#ifndef CAUGHT_H
#define CAUGHT_H

/*
 * What this process writes to standard error, such as its log, is caught between
 * the calls of caught_begin and caught_end.
 */
void caught_begin(void);

void caught_end(void);

/* What was written since the last call of this or the next function. */
const char *caught_text(void);

/* The number of lines of it. */
int caught_lines(void);

#endif
