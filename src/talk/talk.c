#include "talk/talk.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "pipe/output.h"
#include "pipe/printer.h"
#include "talk/exchange.h"

#define HISTORY_LINES 1000

/* A dialogue with the server.  Line editor and history only at a terminal. */
struct talk {
	const struct client_options *options;
	struct exchange exchange;
	struct output output;
	struct printer printer;
	EditLine *editor;
	History *history;
	char *line; /* without an editor */
	size_t line_size;
};

static int
print(struct talk *talk, struct framing_text stamp, struct framing_text line)
{
	int status = printer_add(&talk->printer, stamp, line, -1);
	struct pollfd writable = { talk->output.fd, POLLOUT, 0 };

	while (status == 0 && output_pending(&talk->output)) {
		poll(&writable, 1, -1);
		if (output_write(&talk->output) == -1) {
			if (errno != EPIPE)
				perror("timestampc: output");
			status = EX_IOERR;
		}
	}
	return status;
}

/*
 * Whether line goes once more: if its connection was lost, and to each address
 * of a name with datagrams.  Says that it connects again.
 */
static bool
is_tried_again(const struct talk *talk, enum exchange_result result,
    size_t tries)
{
	enum protocol protocol = talk->options->target.protocol;
	size_t addresses = talk->exchange.connection.addresses;

	if (result == EXCHANGE_NONE)
		return protocol_is_datagram(protocol) && tries < addresses;
	if (result != EXCHANGE_LOST || (tries > 1 && tries >= addresses))
		return false;
	/* A refused datagram only tells that nobody is at this address. */
	if (protocol_is_datagram(protocol) ? talk->options->verbose
					   : !talk->options->quiet)
		fprintf(stderr,
		    "timestampc: the connection was lost (%s), "
		    "connecting again\n",
		    errno == 0 ? "closed by the server" : strerror(errno));
	return true;
}

/* Sends line, over a new connection if the old one was lost. */
static enum exchange_result
exchange_line(struct talk *talk, struct framing_text line,
    struct framing_text *stamp, int *status)
{
	struct exchange *exchange = &talk->exchange;
	enum exchange_result result;
	size_t tries = 0;

	do {
		if (exchange->connection.fd == -1 &&
		    (*status = exchange_connect(exchange)) != 0)
			return EXCHANGE_LOST;
		result = exchange_run(exchange, line, stamp);
	} while (is_tried_again(talk, result, ++tries));
	if (result == EXCHANGE_LOST) {
		fprintf(stderr, "timestampc: %s: %s\n",
		    talk->options->target.text,
		    errno == 0 ? "closed by the server" : strerror(errno));
		*status = EX_UNAVAILABLE;
	}
	return result;
}

/*
 * Returns 0, or the exit status after a message; no reply is EXIT_FAILURE, no
 * connection EX_NOHOST or EX_UNAVAILABLE.
 */
static int
ask(struct talk *talk, struct framing_text line)
{
	struct framing_text stamp;
	int status = 0;

	switch (exchange_line(talk, line, &stamp, &status)) {
	case EXCHANGE_DONE:
		return print(talk, stamp, line);
	case EXCHANGE_NONE:
		fprintf(stderr, "timestampc: no reply within %g s\n",
		    (double)talk->options->wait_ns / 1e9);
		return EXIT_FAILURE;
	case EXCHANGE_TOO_LONG:
		fprintf(stderr,
		    "timestampc: the line has %zu bytes, and one to %s may "
		    "have at most %zu: use tcp: or unix:\n",
		    line.len, protocol_name(talk->options->target.protocol),
		    connection_largest(&talk->exchange.connection));
		return EXIT_FAILURE;
	case EXCHANGE_FOREIGN:
		fputs("timestampc: " REPLY_FOREIGN_TEXT "\n", stderr);
		return EX_PROTOCOL;
	case EXCHANGE_FAILED:
		perror("timestampc");
		return EX_OSERR;
	case EXCHANGE_LOST:
		break;
	}
	return status;
}

static void
init(struct talk *talk, const struct client_options *options)
{
	*talk = (struct talk){ .options = options };
	exchange_init(&talk->exchange, options);
	output_init(&talk->output, STDOUT_FILENO);
	talk->printer = (struct printer){ .options = options,
		.output = &talk->output };
}

static const char *
prompt(EditLine *editor)
{
	(void)editor;
	return "> ";
}

/* Without memory for an editor, lines are read as from a pipe. */
static void
open_editor(struct talk *talk)
{
	HistEvent event;

	setlocale(LC_CTYPE, "");
	talk->editor = el_init("timestampc", stdin, stdout, stderr);
	talk->history = history_init();
	if (talk->editor == NULL || talk->history == NULL)
		return;
	history(talk->history, &event, H_SETSIZE, HISTORY_LINES);
	history(talk->history, &event, H_SETUNIQUE, 1);
	el_set(talk->editor, EL_PROMPT, prompt);
	el_set(talk->editor, EL_EDITOR, "emacs");
	el_set(talk->editor, EL_HIST, history, talk->history);
	el_set(talk->editor, EL_SIGNAL, 1);
	el_source(talk->editor, NULL);
}

static void
close_all(struct talk *talk)
{
	if (talk->editor != NULL)
		el_end(talk->editor);
	if (talk->history != NULL)
		history_end(talk->history);
	exchange_free(&talk->exchange);
	output_free(&talk->output);
	free(talk->line);
}

/* The next line with its newline, none at the end of the input. */
static struct framing_text
read_line(struct talk *talk)
{
	struct framing_text line = { 0 };
	HistEvent event;

	if (talk->editor == NULL) {
		ssize_t n = getline(&talk->line, &talk->line_size, stdin);
		if (n > 0)
			line = (struct framing_text){ talk->line, (size_t)n };
		return line;
	}
	int n = 0;
	const char *text = el_gets(talk->editor, &n);
	if (text == NULL || n <= 0)
		return line;
	if (text[0] != '\n' && talk->history != NULL)
		history(talk->history, &event, H_ENTER, text);
	return (struct framing_text){ text, (size_t)n };
}

int
talk_run(const struct client_options *options)
{
	struct talk talk;
	int status;

	init(&talk, options);
	status = exchange_connect(&talk.exchange);
	if (status == 0 && isatty(STDOUT_FILENO))
		open_editor(&talk);
	while (status == 0) {
		struct framing_text line = read_line(&talk);
		if (line.len == 0 || line.bytes[0] == '\n')
			break;
		status = ask(&talk, line);
		/* The next line may be answered. */
		if (status == EXIT_FAILURE || status == EX_NOHOST ||
		    status == EX_UNAVAILABLE)
			status = 0;
	}
	close_all(&talk);
	return status;
}

int
talk_once(const struct client_options *options)
{
	struct framing_text line = { 0 };
	struct talk talk;
	char *text;
	int n = asprintf(&text, "%s\n", options->text);

	if (n == -1)
		return EX_OSERR;
	line = (struct framing_text){ text, (size_t)n };
	init(&talk, options);
	int status = exchange_connect(&talk.exchange);
	if (status == 0)
		status = ask(&talk, line);
	close_all(&talk);
	free(text);
	return status;
}
