#include "pipe/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/streams.h"

/* A larger text is freed once it was written. */
#define TEXT_KEPT 1048576UL

void
output_init(struct output *output, int fd)
{
	struct stat status;
	int again = streams_open_again(fd);

	*output = (struct output){ .fd = again == -1 ? fd : again,
		.kind = again == -1 ? OUTPUT_BLOCKING : OUTPUT_FREE };
	if (again != -1 || fstat(fd, &status) == -1)
		return;
	if (S_ISREG(status.st_mode))
		output->kind = OUTPUT_FREE;
	else if (S_ISSOCK(status.st_mode))
		output->kind = OUTPUT_SOCKET;
}

void
output_free(struct output *output)
{
	if (output->fd != STDOUT_FILENO)
		close(output->fd);
	free(output->text);
}

int
output_add(struct output *output, struct framing_text piece)
{
	size_t need = output->text_len + piece.len;

	if (need > output->text_size) {
		size_t size = need < 4096 ? 4096 : need + need / 2;
		char *text = realloc(output->text, size);
		if (text == NULL)
			return -1;
		output->text = text;
		output->text_size = size;
	}
	memcpy(output->text + output->text_len, piece.bytes, piece.len);
	output->text_len = need;
	output->at = output->text;
	output->len = need;
	return 0;
}

void
output_shorten(struct output *output, size_t text_len)
{
	output->text_len = output->len = text_len;
}

void
output_borrow(struct output *output, struct framing_text bytes)
{
	output->at = bytes.bytes;
	output->len = bytes.len;
}

bool
output_pending(const struct output *output)
{
	return output->len > 0;
}

static ssize_t
write_some(struct output *output)
{
	if (output->kind == OUTPUT_SOCKET)
		return send(output->fd, output->at, output->len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (output->kind == OUTPUT_FREE)
		return write(output->fd, output->at, output->len);
	struct pollfd writable = { output->fd, POLLOUT, 0 };
	if (poll(&writable, 1, 0) <= 0) {
		errno = EAGAIN;
		return -1;
	}
	/* So much never blocks where poll(2) found the pipe writable. */
	return write(output->fd, output->at,
	    output->len < PIPE_BUF ? output->len : PIPE_BUF);
}

int
output_write(struct output *output)
{
	ssize_t n = TEMP_FAILURE_RETRY(write_some(output));

	if (n == -1)
		return errno == EAGAIN ? 0 : -1;
	output->at += n;
	output->len -= (size_t)n;
	output->written += (size_t)n;
	if (output->len > 0)
		return 0;
	output->written = 0;
	output->text_len = 0;
	if (output->text_size > TEXT_KEPT) {
		free(output->text);
		output->text = NULL;
		output->text_size = 0;
	}
	return 0;
}
