#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

/* The command line.  Immutable once parsed; points into argv. */
struct options {
	struct config_source source;
	char **specs, **settings;  /* of source */
	const char *unheard;       /* of them, by a running server */
	const char *hint;          /* for a word that is not an option */
	bool reload, status, json; /* ask a running server */
	bool test, show, version, help;
};

#define OPTIONS_USAGE                                                          \
	"usage: timestampd [-dhtTV] [-c FILE] [-l SPEC]... "                   \
	"[-o NAME=VALUE]...\n"                                                 \
	"       timestampd -r | -s [-j] [-c FILE] [-o NAME=VALUE]...\n"        \
	"  -c, --config FILE   configuration (default: " SYSCONFDIR            \
	"/timestampd.conf\n"                                                   \
	"                      where it exists, else built in: TCP and\n"      \
	"                      UDP on port 21567)\n"                           \
	"  -l, --listen SPEC   tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT,\n"  \
	"                      unix:/path, unix-dgram:/path or\n"              \
	"                      unix-seqpacket:/path, and settings of the\n"    \
	"                      listener, as in tcp:7000,framing=line;\n"       \
	"                      replaces the listeners of the file;\n"          \
	"                      repeatable\n"                                   \
	"  -o, --option NAME=VALUE\n"                                          \
	"                      any other setting, in place of the file's,\n"   \
	"                      as in limits.idle_timeout=0; repeatable\n"      \
	"  -r, --reload        have the running server reload, and wait\n"     \
	"  -s, --status        show the counters of the running server\n"      \
	"  -j, --json          with -s: as JSON\n"                             \
	"  -t, --test          check the configuration and exit\n"             \
	"  -T, --show          check it, show all settings as a file, exit\n"  \
	"  -d, --debug         debug run: show every connection\n"             \
	"  -V, --version       show the version and exit\n"                    \
	"  -h, --help          show this and exit\n"

/*
 * -1: wrong command line, after a line on stderr; its settings are checked only
 * when they are loaded.  Free by options_free.
 */
int options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

/*
 * The configuration that the command line asks for; reads the file anew each
 * time.  As config_load.
 */
int options_load(const struct options *options, struct config **config,
    FILE *errors);

#endif
