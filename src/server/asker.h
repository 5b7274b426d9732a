#ifndef SERVER_ASKER_H
#define SERVER_ASKER_H

/*
 * The client of the control socket (server/control.h): sends request, a line
 * without its end, to the server at path and writes the answer's text to
 * standard output, or what went wrong to standard error.  Returns 0 or an exit
 * status: what the server says, EX_UNAVAILABLE when no server answers, EX_NOPERM
 * when it may not be asked, EX_OSERR or EX_IOERR for faults here.
 */
int asker_run(const char *path, const char *request);

#endif
