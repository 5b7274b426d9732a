#ifndef TIMESTAMPC_OPTIONS_H
#define TIMESTAMPC_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timestampc/target.h"

enum client_job {
	CLIENT_TALK, /* where the input is a terminal, */
	CLIENT_PIPE, /* and where it is not */
	CLIENT_PING,
	CLIENT_ONE,
	CLIENT_HELP,
	CLIENT_VERSION,
};

/* The command line.  Immutable once parsed; points into argv. */
struct client_options {
	enum client_job job;
	struct target target;
	bool json, quiet, verbose;
	uint64_t wait_ns; /* -W: for a reply */

	const char *text; /* of one reply */

	bool since_before, since_start; /* -i, -s */
	size_t window_bytes;
	bool has_give_up;
	uint64_t give_up_ns;
	const char *spool; /* -S; NULL: none */

	bool adaptive;     /* -A */
	uint64_t count;    /* -c; 0: no end */
	bool has_interval; /* -I was given */
	uint64_t interval_ns;
	size_t payload_bytes; /* -l; 0: as few as it needs */
	uint64_t duration_ns; /* -d; 0: no end */
	bool has_max_loss, has_max_rtt, has_max_offset, has_offset;
	double max_loss_percent;
	int64_t max_rtt_ns, max_offset_ns;
	int64_t offset_ns; /* --offset: of the server's clock, in seconds */
};

#define CLIENT_USAGE                                                           \
	"usage: timestampc [-46jqv] [-W SECONDS] [TARGET]\n"                   \
	"       timestampc [-46jqv] [-i | -s] [-w BYTES] [-G SECONDS] "        \
	"[-S FILE]\n"                                                          \
	"                  [-W SECONDS] [TARGET] <in >out\n"                   \
	"       timestampc -P [-46jqA] [-c N] [-I SECONDS] [-l BYTES] "        \
	"[-W SECONDS]\n"                                                       \
	"                  [-d SECONDS] [--max-loss PERCENT] [--max-rtt MS]\n" \
	"                  [--max-offset MS] [--offset SECONDS] [TARGET]\n"    \
	"       timestampc -1 TEXT [-46jv] [-W SECONDS] [TARGET]\n"            \
	"  TARGET  HOST, udp:HOST, tcp:HOST:PORT, tcp:[::1]:PORT, "            \
	"unix:/path,\n"                                                        \
	"          unix-dgram:/path or unix-seqpacket:/path;\n"                \
	"          default: tcp:localhost:21567\n"                             \
	"  -4, -6         IPv4 or IPv6 addresses only\n"                       \
	"  -j, --json     replies as JSON, an object a line\n"                 \
	"  -q, --quiet    no mark on late lines; with -P only the summary\n"   \
	"  -v, --verbose  say when a connection is made or lost\n"             \
	"  -W             seconds to wait for a reply; default: 5\n"           \
	"  -i, -s         elapsed time since the line before, since the "      \
	"first line\n"                                                         \
	"  -w             bytes of lines under way; default: 1048576\n"        \
	"  -G             give up after SECONDS without a reply or "           \
	"connection\n"                                                         \
	"  -S, --spool    keep lines without a reply in FILE\n"                \
	"  -P, --ping     measure round trips and the server's clock\n"        \
	"  -A             with -P: send as soon as the last reply has come\n"  \
	"  -c, -I         with -P: how many, and the seconds between two\n"    \
	"  -l, -d         with -P: bytes to send, seconds to go on for\n"      \
	"  -1             send TEXT, print the reply, end\n"                   \
	"  -V, --version  show the version and exit\n"                         \
	"  -h, --help     show this and exit\n"

/*
 * Returns 0, or -1 for a wrong command line, after a line on stderr.
 */
int client_options_parse(struct client_options *options, int argc, char **argv);

#endif
