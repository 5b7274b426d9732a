#include "http/microhttpd.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* Of the header that this is built with, in Debian 12 and 13. */
#define LIBRARY "libmicrohttpd.so.12"

#define FUNCTION(name)                                                         \
	{                                                                      \
		"MHD_" #name, offsetof(struct microhttpd, name)                \
	}

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
	FUNCTION(set_panic_func),
	FUNCTION(start_daemon),
	FUNCTION(stop_daemon),
	FUNCTION(get_connection_info),
	FUNCTION(lookup_connection_value),
	FUNCTION(create_response_from_buffer),
	FUNCTION(add_response_header),
	FUNCTION(queue_response),
	FUNCTION(destroy_response),
};

const char *
microhttpd_load(struct microhttpd *library)
{
	if (library->handle != NULL)
		return NULL;
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return dlerror();
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		void *function = dlsym(handle, functions[i].name);
		if (function == NULL)
			return dlerror();
		memcpy((char *)library + functions[i].offset, &function,
		    sizeof(function));
	}
	library->handle = handle;
	return NULL;
}
