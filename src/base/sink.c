#include "base/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/param.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/streams.h"

#define WAIT_MS 100 /* at a time */
#define SAVED_MS UINT64_C(1000)
#define SHARE 10 /* waits are the tenth part of the time */

/* The terminal that controls this process may be opened by any user. */
static int
open_own(int fd)
{
	int own = streams_open_again(fd);

	if (own != -1 || tcgetpgrp(fd) == -1)
		return own;
	return open("/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void
sink_open(struct sink *sink, int fd)
{
	struct stat status = { 0 };
	int own = open_own(fd);

	*sink = (struct sink){ .fd = own != -1 ? own : fd };
	if (own != -1 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
		sink->kind = SINK_OWN;
	else if (S_ISSOCK(status.st_mode))
		sink->kind = SINK_SOCKET;
}

static int
await_room(const struct sink *sink, int timeout_ms)
{
	struct pollfd room = { .fd = sink->fd, .events = POLLOUT };

	return poll(&room, 1, timeout_ms);
}

/* A shared pipe that has room has it for PIPE_BUF bytes, more than a line. */
static ssize_t
write_some(const struct sink *sink, const char *text, size_t len)
{
	if (sink->kind == SINK_SOCKET)
		return send(sink->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sink->kind == SINK_SHARED && await_room(sink, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(sink->fd, text, len);
}

/* Whether there is room before this wait, or all waits, were too long. */
static bool
wait_for_room(struct sink *sink)
{
	uint64_t now_ms = clock_ms(), paid_ms = MAX(sink->paid_ms, now_ms);

	if (sink->is_refused || paid_ms >= now_ms + SHARE * SAVED_MS)
		return false;
	bool has_room = await_room(sink, WAIT_MS) == 1;
	/* At least 1 ms counts, or a descriptor that reports room and takes
	 * nothing would be tried without end. */
	sink->paid_ms = paid_ms + SHARE * (clock_ms() - now_ms + 1);
	return has_room;
}

/* How much was taken. */
static size_t
write_all(struct sink *sink, const char *text, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write_some(sink, text + done, len - done);
		if (n > 0)
			done += (size_t)n;
		else if (n == 0 ||
			 (errno != EINTR &&
			     (errno != EAGAIN || !wait_for_room(sink))))
			break;
	}
	return done;
}

bool
sink_write(struct sink *sink, const char *text, size_t len)
{
	if (sink->is_torn && write_all(sink, "\n", 1) == 1)
		sink->is_torn = false;
	size_t done = sink->is_torn ? 0 : write_all(sink, text, len);
	sink->is_refused = done < len;
	sink->is_torn |= done > 0 && done < len;
	return !sink->is_refused;
}
