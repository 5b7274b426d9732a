#include "timestampc/ping_output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/streams.h"

/* Waits until the output is writable; false: it has come to its end before. */
static bool
await(struct ping_output *output)
{
	struct pollfd fds[2] = { { output->signals, POLLIN, 0 },
		{ output->fd, POLLOUT, 0 } };

	while (fds[1].revents == 0) {
		uint64_t now_ms = clock_ms();
		if (now_ms >= output->end_ms) {
			output->problem = ETIMEDOUT;
			return false;
		}
		int left_ms = output->end_ms == UINT64_MAX
		                ? -1
		                : (int)(output->end_ms - now_ms);
		if (poll(fds, 2, left_ms) > 0 && fds[0].revents != 0)
			output->take_signal(output->argument);
	}
	return true;
}

/* As fopencookie(3) needs it: what is less than len is an error. */
static ssize_t
write_all(void *cookie, const char *text, size_t len)
{
	struct ping_output *output = cookie;
	bool may_block = output->fd == STDOUT_FILENO, is_full = may_block;
	size_t done = 0;

	while (done < len && output->problem == 0) {
		if (is_full && !await(output))
			break;
		/* So much never blocks where poll(2) found it writable. */
		size_t some = len - done < PIPE_BUF ? len - done : PIPE_BUF;
		ssize_t n = write(output->fd, text + done, some);
		is_full = may_block || n == -1;
		if (n >= 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			output->problem = errno;
	}
	return (ssize_t)done;
}

int
ping_output_open(struct ping_output *output, int signals,
    void (*take_signal)(void *argument), void *argument)
{
	FILE *file = fopencookie(output, "w",
	    (cookie_io_functions_t){ .write = write_all });

	if (file == NULL)
		return -1;
	int again = streams_open_again(STDOUT_FILENO);
	*output = (struct ping_output){ .end_ms = UINT64_MAX,
		.fd = again == -1 ? STDOUT_FILENO : again,
		.signals = signals,
		.standard = stdout,
		.take_signal = take_signal,
		.argument = argument };
	stdout = file;
	return 0;
}

int
ping_output_flush(struct ping_output *output)
{
	fflush(stdout);
	if (output->problem != 0 && output->problem != EPIPE)
		fprintf(stderr, "timestampc: output: %s\n",
		    output->problem == ETIMEDOUT ? "nobody reads it"
						 : strerror(output->problem));
	return output->problem == 0 ? 0 : -1;
}

void
ping_output_close(struct ping_output *output)
{
	output->end_ms = 0;
	fclose(stdout);
	stdout = output->standard;
	if (output->fd != STDOUT_FILENO)
		close(output->fd);
}
