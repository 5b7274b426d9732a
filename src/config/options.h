#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

/* The command line.  Immutable once parsed; points into argv. */
struct options {
	const char *config_path; /* NULL: built-in settings */
	char **specs;
	size_t spec_count;
	bool reload, status, json; /* ask a running server */
	bool test, debug, version, help;
};

#define OPTIONS_USAGE                                                          \
	"usage: timestampd [-dhtV] [-c FILE] [-l SPEC]...\n"                   \
	"       timestampd -r | -s [-j] [-c FILE]\n"                           \
	"  -c, --config FILE   configuration (default: " SYSCONFDIR            \
	"/timestampd.conf\n"                                                   \
	"                      where it exists, else built in: TCP and\n"      \
	"                      UDP on port 21567)\n"                           \
	"  -l, --listen SPEC   tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT,\n"  \
	"                      unix:/path, unix-dgram:/path or\n"              \
	"                      unix-seqpacket:/path; replaces the\n"           \
	"                      listeners of the file; repeatable\n"            \
	"  -r, --reload        have the running server reload, and wait\n"     \
	"  -s, --status        show the counters of the running server\n"      \
	"  -j, --json          with -s: as JSON\n"                             \
	"  -t, --test          check the configuration and exit\n"             \
	"  -d, --debug         debug run: show every connection\n"             \
	"  -V, --version       show the version and exit\n"                    \
	"  -h, --help          show this and exit\n"

/* -1: wrong command line, after a message on stderr.  Free by options_free. */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/*
 * The configuration that the command line asks for; reads the file anew each
 * time.  Returns 0, or an exit status with a line in errors for each fault;
 * *config is NULL then.
 */
int options_load(const struct options *options, struct config **config,
    FILE *errors);

#endif
