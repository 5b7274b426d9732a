#ifndef PIPE_PRINTER_H
#define PIPE_PRINTER_H

#include <stdbool.h>
#include <stdint.h>

#include "pipe/output.h"
#include "timestampc/options.h"

/* Puts answered lines in the form that the options ask for. */
struct printer {
	const struct client_options *options;
	struct output *output;
	bool begun;
	int64_t before_ns; /* -i: the stamp before; -s: the first one */
};

/* Whether a reply is printed as it came, late or not (-1). */
bool printer_is_plain(const struct printer *printer, int64_t late_ms);

/*
 * Adds line, answered under stamp, to the output.  Returns 0, or an exit status
 * after a message: EX_PROTOCOL, the stamp cannot be read; EX_OSERR.
 */
int printer_add(struct printer *printer, struct framing_text stamp,
    struct framing_text line, int64_t late_ms);

#endif
