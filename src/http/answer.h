#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <microhttpd.h>
#include <stddef.h>

/*
 * Called by libmicrohttpd, in its thread, when the head of a request has come;
 * cls: struct http.
 */
enum MHD_Result answer_request(void *cls, struct MHD_Connection *connection,
    const char *path, const char *method, const char *version, const char *data,
    size_t *size, void **request);

#endif
