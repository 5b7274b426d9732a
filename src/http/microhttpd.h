#ifndef HTTP_MICROHTTPD_H
#define HTTP_MICROHTTPD_H

#include <microhttpd.h>

/*
 * The functions of libmicrohttpd that are used here.  It is loaded when it is
 * needed for the first time: it brings GnuTLS, and linked with it every start
 * would cost 3.6 ms and 2.8 MiB more.
 */
struct microhttpd {
	void *handle; /* NULL: not loaded */
	__typeof__(MHD_set_panic_func) *set_panic_func;
	__typeof__(MHD_start_daemon) *start_daemon;
	__typeof__(MHD_stop_daemon) *stop_daemon;
	__typeof__(MHD_get_connection_info) *get_connection_info;
	__typeof__(MHD_lookup_connection_value) *lookup_connection_value;
	__typeof__(MHD_create_response_from_buffer)
	    *create_response_from_buffer;
	__typeof__(MHD_add_response_header) *add_response_header;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_destroy_response) *destroy_response;
};

/* Loads it unless it is loaded.  NULL, or a text why it cannot be. */
const char *microhttpd_load(struct microhttpd *library);

#endif
