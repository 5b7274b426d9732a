#ifndef PLAN_H
#define PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What one run of the load does: read from the command line, then constant.
 */
struct plan {
	const char *workload;
	int port;     /* of the server, on 127.0.0.1 */
	pid_t server; /* whose CPU time is read */
	int connections;
	int deaf;   /* further connections, which never read */
	int window; /* datagrams, buffers or connections on their way at once */
	int size;   /* bytes of a message, or of a line */
	uint64_t warm_ns, run_ns;
	const char *prefix; /* of a reply, as for strptime(3); NULL: none */
	const char *request, *reply; /* NULL: size letters; NULL: the request */
};

/* Ends the program when the command line is wrong. */
void plan_parse(struct plan *plan, int argc, char **argv);

#endif
