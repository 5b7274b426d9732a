#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/streams.h"
#include "pipe/pipe.h"
#include "talk/talk.h"
#include "timestampc/options.h"
#include "timestampc/ping.h"

/* The exit status after all was printed. */
static int
finish(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	if (errno != EPIPE)
		perror("timestampc: output");
	return EX_IOERR;
}

static int
help(const struct client_options *options)
{
	(void)options;
	fputs(CLIENT_USAGE, stdout);
	return finish();
}

static int
version(const struct client_options *options)
{
	(void)options;
	puts("timestampc " VERSION);
	return finish();
}

static int (*const jobs[])(const struct client_options *options) = {
	[CLIENT_TALK] = talk_run,
	[CLIENT_PIPE] = pipe_run,
	[CLIENT_ONE] = talk_once,
	[CLIENT_PING] = ping_run,
	[CLIENT_HELP] = help,
	[CLIENT_VERSION] = version,
};

int
main(int argc, char **argv)
{
	/* A thread that connects may outlive this function, and reads them. */
	static struct client_options options;

	if (streams_open() == -1) {
		perror("timestampc: /dev/null");
		return EX_OSERR;
	}
	/* A closed output or a file at its limit is an error as any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (client_options_parse(&options, argc, argv) == -1)
		return EX_USAGE;
	return jobs[options.job](&options);
}
