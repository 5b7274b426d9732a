#include "pipe/leftover.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Behind so many newlines of what lies between position and end. */
static uint64_t
skip_lines(const struct window *window, size_t lines, uint64_t end)
{
	uint64_t position = window->begin;

	while (lines-- > 0 && position < end) {
		const char *line = window_at(window, position);
		const char *newline = memchr(line, '\n',
		    (size_t)(end - position));
		if (newline == NULL)
			return end;
		position += (size_t)(newline + 1 - line);
	}
	return position;
}

void
leftover_settle(struct window *window, uint64_t answered,
    const struct output *output)
{
	size_t lines = 0;

	if (output->written == 0)
		return;
	const char *at = output->at - output->written;
	/* Each line has one newline, in whatever form it is printed. */
	while ((at = memchr(at, '\n', (size_t)(output->at - at))) != NULL) {
		lines++;
		at++;
	}
	window_release(window, skip_lines(window, lines, answered));
	if (output->at[-1] != '\n')
		window_note_cut(window, output->fd);
}

/* Of a file too.  The number itself may be too large for an int. */
static bool
has_input(void)
{
	int unread = 0;

	return ioctl(STDIN_FILENO, FIONREAD, &unread) == 0 && unread != 0;
}

bool
leftover_any(const struct window *window)
{
	return window->begin != window->end || has_input();
}

void
leftover_say(const struct window *window, bool stopped)
{
	const char *path = window->path;
	bool more = has_input();

	if (window->bytes == NULL)
		return;
	size_t lines = window_lines(window);
	if (lines > 0)
		fprintf(stderr,
		    "timestampc: gave up with %zu %s left%s%s%s%s\n", lines,
		    lines == 1 ? "line" : "lines",
		    path == NULL ? "" : ", which ",
		    path == NULL ? ""
		    : lines == 1 ? "is kept in "
				 : "are kept in ",
		    path == NULL ? "" : path,
		    more ? "; the input has more" : "");
	else if (more)
		fprintf(stderr,
		    "timestampc: %sthe rest of the input was not read\n",
		    stopped ? "ended by a signal; " : "");
}
