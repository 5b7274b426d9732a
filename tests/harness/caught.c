#include "harness/caught.h"

#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

static int end, standard_error;

void
caught_begin(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     ends),
	    0);
	standard_error = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	end = ends[0];
}

void
caught_end(void)
{
	dup2(standard_error, STDERR_FILENO);
	close(standard_error);
	close(end);
}

const char *
caught_text(void)
{
	static char text[16384];
	ssize_t n = read(end, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

int
caught_lines(void)
{
	int count = 0;

	for (const char *text = caught_text(); *text != '\0'; text++)
		count += *text == '\n';
	return count;
}
