#ifndef SCRATCH_H
#define SCRATCH_H

/*
 * A folder of the test's own: the working directory from scratch_enter on, gone
 * with all that is in it after scratch_leave.
 */
void scratch_enter(void);
void scratch_leave(void);

/* Makes the file name with this text. */
void scratch_write(const char *name, const char *text);

#endif
