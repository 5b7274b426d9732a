#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stddef.h>

/*
 * Carries out a request at the control socket; a control_handler whose context
 * is the struct server.  EX_TEMPFAIL: the server is stopping; EX_CONFIG: the
 * text has the reasons why a reload was refused.
 */
int request_answer(void *context, const char *request, char *text, size_t size);

#endif
