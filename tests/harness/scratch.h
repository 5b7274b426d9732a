#ifndef SCRATCH_H
#define SCRATCH_H

/*
 * scratch_enter creates a folder for the test and makes it the working
 * directory; scratch_leave removes it and its files.
 */
void scratch_enter(void);
void scratch_leave(void);

/* Creates or overwrites the file name in the working directory. */
void scratch_write(const char *name, const char *text);

#endif
