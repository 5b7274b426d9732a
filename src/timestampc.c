#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "pipe/pipe.h"
#include "talk/talk.h"
#include "timestampc/options.h"
#include "timestampc/ping.h"

static int
help(const struct client_options *options)
{
	(void)options;
	fputs(CLIENT_USAGE, stdout);
	return fflush(stdout) == EOF ? EX_IOERR : EXIT_SUCCESS;
}

static int
version(const struct client_options *options)
{
	(void)options;
	puts("timestampc " VERSION);
	return fflush(stdout) == EOF ? EX_IOERR : EXIT_SUCCESS;
}

static int
lines(const struct client_options *options)
{
	return isatty(STDIN_FILENO) ? talk_run(options) : pipe_run(options);
}

static int (*const jobs[])(const struct client_options *options) = {
	[CLIENT_LINES] = lines,
	[CLIENT_ONE] = talk_once,
	[CLIENT_PING] = ping_run,
	[CLIENT_HELP] = help,
	[CLIENT_VERSION] = version,
};

/*
 * Otherwise a new socket could get the number of a closed standard stream.  The
 * output stays closed for writing.
 */
static int
open_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1 &&
		    open("/dev/null",
			fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) == -1)
			return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct client_options options;

	if (open_standard_streams() == -1) {
		perror("/dev/null");
		return EX_OSERR;
	}
	/* A closed output is an error as any other. */
	signal(SIGPIPE, SIG_IGN);
	if (client_options_parse(&options, argc, argv) == -1) {
		fputs("timestampc -h shows the options\n", stderr);
		return EX_USAGE;
	}
	return jobs[options.job](&options);
}
