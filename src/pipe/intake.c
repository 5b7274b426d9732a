#include "pipe/intake.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Lines that an earlier process left in the spool may have gone already. */
static void
take_spool(struct window *window, struct account *account, uint64_t now_ms)
{
	size_t len = (size_t)(window->end - window->begin);

	if (len == 0)
		return;
	account_read(account,
	    (struct framing_text){ window_at(window, window->begin), len },
	    now_ms);
	window_load_times(window, &account->times);
	account_sent(account, len);
	account_lost(account);
}

int
intake_open(struct window *window, struct account *account,
    const struct client_options *options, uint64_t now_ms)
{
	const char *path = options->spool;
	int type = protocol_socket_type(options->target.protocol);

	if (window_open(window, options->window_bytes, path) == -1 ||
	    window_set_input(window, STDIN_FILENO) == -1) {
		fprintf(stderr, "timestampc: %s: %s\n",
		    path == NULL ? "memory" : path,
		    errno == EWOULDBLOCK ? "another process uses it"
		    : errno == EINVAL    ? "not a file of lines by -S"
					 : strerror(errno));
		return path == NULL ? EX_OSERR : EX_IOERR;
	}
	account_init(account, type == SOCK_STREAM ? ACCOUNT_TWO : ACCOUNT_ONE,
	    window->begin);
	take_spool(window, account, now_ms);
	return 0;
}

/* Whether all that was read is the part of one line. */
static bool
has_part(const struct window *window, const struct account *account)
{
	return account->whole <= window->begin;
}

size_t
intake_room(const struct window *window, const struct account *account)
{
	return window_room(window, has_part(window, account));
}

ssize_t
intake_read(struct window *window, struct account *account, size_t most,
    uint64_t now_ms)
{
	char *to = window_at(window, account->end);
	size_t room = intake_room(window, account);
	ssize_t n = TEMP_FAILURE_RETRY(
	    read(STDIN_FILENO, to, room < most ? room : most));

	if (n <= 0)
		return n;
	window_add(window, (size_t)n);
	account_read(account, (struct framing_text){ to, (size_t)n }, now_ms);
	window_save_times(window, &account->times);
	return n;
}

int
intake_make_room(struct window *window, const struct account *account)
{
	if (!has_part(window, account) || intake_room(window, account) > 0)
		return 0;
	return window_grow(window);
}
