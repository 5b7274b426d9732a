#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/config.h"
#include "config/options.h"

/*
 * Serves as config says until a signal ends it; reads the configuration anew as
 * options say on SIGHUP.  Takes config over.  Returns the exit status, of
 * sysexits.h if it is not 0, after having logged why.  The main thread, before
 * there are others; blocks the signals that it takes.
 */
int server_run(struct config *config, const struct options *options);

#endif
