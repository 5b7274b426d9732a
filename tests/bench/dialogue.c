#include "dialogue.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLOCK_SLACK_S 2 /* a reply may be so late */

/* The letters repeat, so a misplaced byte makes a difference. */
static char *
make_text(size_t len)
{
	char *text = malloc(len);

	if (text == NULL)
		err(71, "message");
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i % 26);
	return text;
}

static size_t
format_len(const char *format)
{
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	return strftime(text, sizeof(text), format, localtime_r(&now, &tm));
}

void
dialogue_init(struct dialogue *dialogue, const struct plan *plan)
{
	memset(dialogue, 0, sizeof(*dialogue));
	if (plan->request != NULL) {
		dialogue->request = plan->request;
		dialogue->request_len = strlen(plan->request);
	} else {
		dialogue->request = make_text((size_t)plan->size);
		dialogue->request_len = (size_t)plan->size;
	}
	dialogue->reply = dialogue->request;
	dialogue->reply_len = dialogue->request_len;
	if (plan->reply != NULL) {
		dialogue->reply = plan->reply;
		dialogue->reply_len = strlen(plan->reply);
		dialogue->any = dialogue->reply_len == 0;
	}
	if (plan->prefix != NULL) {
		dialogue->prefix_format = plan->prefix;
		dialogue->prefix_len = format_len(plan->prefix);
	}
}

void
dialogue_init_line(struct dialogue *dialogue, const struct plan *plan)
{
	dialogue_init(dialogue, plan);
	char *line = make_text(dialogue->request_len);
	line[dialogue->request_len - 1] = '\n';
	dialogue->request = dialogue->reply = line;
}

char *
dialogue_numbered(const struct dialogue *dialogue, unsigned number)
{
	char *text = malloc(dialogue->request_len);

	if (text == NULL)
		err(71, "message");
	memcpy(text, dialogue->request, dialogue->request_len);
	text[0] = (char)('0' + number);
	return text;
}

size_t
dialogue_len(const struct dialogue *dialogue)
{
	return dialogue->prefix_len + dialogue->reply_len;
}

/* Whether data begins with a prefix of about the present time. */
static bool
tells_time(const struct dialogue *dialogue, const char *data)
{
	char text[sizeof(dialogue->prefix)] = "";
	time_t now = time(NULL);
	struct tm tm;

	memcpy(text, data, dialogue->prefix_len);
	/* Fields that the format lacks have the present value. */
	localtime_r(&now, &tm);
	const char *end = strptime(text, dialogue->prefix_format, &tm);
	if (end != text + dialogue->prefix_len)
		return false;
	time_t told = mktime(&tm);
	return told >= now - CLOCK_SLACK_S && told <= now + CLOCK_SLACK_S;
}

static void
check_prefix(struct dialogue *dialogue, const char *data)
{
	/* The prefix changes once a second, so most replies need no more. */
	if (memcmp(dialogue->prefix, data, dialogue->prefix_len) == 0)
		return;
	if (!tells_time(dialogue, data))
		errx(1, "a reply begins with \"%.*s\"",
		    (int)dialogue->prefix_len, data);
	memcpy(dialogue->prefix, data, dialogue->prefix_len);
}

void
dialogue_check(struct dialogue *dialogue, const char *data, size_t len)
{
	if (dialogue->any)
		return;
	if (len != dialogue_len(dialogue))
		errx(1, "a reply has %zu bytes instead of %zu", len,
		    dialogue_len(dialogue));
	if (dialogue->prefix_len > 0)
		check_prefix(dialogue, data);
	if (memcmp(data + dialogue->prefix_len, dialogue->reply,
		dialogue->reply_len) != 0)
		errx(1, "a reply has other data than its request");
}

void
dialogue_check_numbered(struct dialogue *dialogue, char *data, size_t len)
{
	char *first = data + dialogue->prefix_len;

	if (len > dialogue->prefix_len && *first >= '0' &&
	    *first < '0' + DIALOGUE_NUMBERS)
		*first = dialogue->reply[0];
	dialogue_check(dialogue, data, len);
}

void
dialogue_check_part(struct dialogue *dialogue, size_t at, const char *data,
    size_t len)
{
	if (at == 0 && len == dialogue_len(dialogue)) {
		dialogue_check(dialogue, data, len);
		return;
	}
	if (at + len > dialogue_len(dialogue))
		errx(1, "a reply is longer than %zu bytes",
		    dialogue_len(dialogue));
	/* A stamp in pieces is not checked; those of other replies are. */
	if (at < dialogue->prefix_len) {
		size_t skip = dialogue->prefix_len - at;
		if (skip > len)
			return;
		at += skip;
		data += skip;
		len -= skip;
	}
	if (memcmp(data, dialogue->reply + at - dialogue->prefix_len, len) != 0)
		errx(1, "a reply has other data than its request");
}
