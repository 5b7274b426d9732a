#include "lines/account.h"

#include <string.h>

/* A line that waited for less is in time. */
#define LATE_MS 1000
/* Input that is read within this time counts as read at once. */
#define READ_MS 10

void
account_init(struct account *account, enum account_pace pace, uint64_t position)
{
	*account = (struct account){ .pace = pace,
		.first_pace = pace,
		.answered = position,
		.sent = position,
		.whole = position,
		.end = position,
		.limit = position };
}

static void
note_time(struct account *account, uint64_t now_ms)
{
	struct account_times *times = &account->times;
	struct account_read *reads = times->reads;
	size_t count = times->count;

	if (count == 0)
		times->spacing_ms = READ_MS;
	else if (now_ms - reads[count - 1].ms < times->spacing_ms)
		return;
	if (count == ACCOUNT_READS) {
		times->spacing_ms = (now_ms - reads[0].ms) / (count / 2);
		for (size_t i = 0; i < count; i += 2)
			reads[i / 2] = reads[i];
		count /= 2;
	}
	reads[count] = (struct account_read){ account->end, now_ms };
	times->count = count + 1;
}

void
account_read(struct account *account, struct framing_text input,
    uint64_t now_ms)
{
	const char *newline = memrchr(input.bytes, '\n', input.len);

	note_time(account, now_ms);
	if (newline != NULL)
		account->whole = account->end +
		                 (size_t)(newline + 1 - input.bytes);
	account->end += input.len;
}

void
account_read_end(struct account *account)
{
	account->whole = account->end;
}

/* The end of what was read LATE_MS ago. */
static uint64_t
find_late(const struct account *account, uint64_t now_ms)
{
	const struct account_times *times = &account->times;

	for (size_t i = 0; i < times->count; i++)
		if (times->reads[i].ms + LATE_MS > now_ms)
			return times->reads[i].from;
	return account->end;
}

void
account_connected(struct account *account, uint64_t now_ms)
{
	account->pace = account->first_pace;
	account->waited = find_late(account, now_ms);
	account->sent_ms = now_ms;
}

void
account_lost(struct account *account)
{
	if (account->sent > account->twice)
		account->twice = account->sent;
	account->sent = account->limit = account->answered;
	account->limit_lines = 0;
}

/* The end of the line that begins at position; whole, if that comes first. */
static uint64_t
line_end(const struct account *account, const char *unanswered,
    uint64_t position)
{
	const char *line = unanswered + (position - account->answered);
	const char *newline = memchr(line, '\n',
	    (size_t)(account->whole - position));

	return newline == NULL ? account->whole
	                       : position + (size_t)(newline + 1 - line);
}

size_t
account_sendable(struct account *account, const char *unanswered)
{
	size_t most = account->pace == ACCOUNT_ONE ? 1 : 2;

	if (account->pace == ACCOUNT_MANY)
		return (size_t)(account->whole - account->sent);
	if (account->sent == account->answered) {
		account->limit = account->answered;
		account->limit_lines = 0;
		while (account->limit_lines < most &&
		       account->limit < account->whole) {
			account->limit = line_end(account, unanswered,
			    account->limit);
			account->limit_lines++;
		}
	}
	return (size_t)(account->limit - account->sent);
}

void
account_sent(struct account *account, size_t bytes)
{
	account->sent += bytes;
}

/* Forgets when what was answered was read. */
static void
forget_times(struct account *account)
{
	struct account_times *times = &account->times;
	size_t past = 0;

	while (past + 1 < times->count &&
	       times->reads[past + 1].from <= account->answered)
		past++;
	if (account->answered == account->end)
		past = times->count;
	if (past == 0)
		return;
	times->count -= past;
	memmove(times->reads, times->reads + past,
	    times->count * sizeof(times->reads[0]));
}

void
account_answered(struct account *account, size_t bytes)
{
	account->answered += bytes;
	forget_times(account);
	if (account->pace == ACCOUNT_TWO && account->limit_lines == 2 &&
	    account->answered == account->limit)
		account->pace = ACCOUNT_MANY;
}

void
account_slow_down(struct account *account)
{
	account->pace = ACCOUNT_ONE;
	account->limit = account->sent;
}

size_t
account_line(const struct account *account, const char *unanswered)
{
	return (size_t)(line_end(account, unanswered, account->answered) -
			account->answered);
}

/* When the byte in front of position was read. */
static uint64_t
read_ms(const struct account_times *times, uint64_t position)
{
	size_t i = 0;

	while (i + 1 < times->count && times->reads[i + 1].from < position)
		i++;
	return times->reads[i].ms;
}

int64_t
account_late_ms(const struct account *account, const char *unanswered)
{
	bool is_twice = account->answered < account->twice;

	if (!is_twice && account->answered >= account->waited)
		return -1;
	uint64_t end = line_end(account, unanswered, account->answered);
	if (!is_twice && end > account->waited)
		return -1;
	int64_t late_ms = (int64_t)(account->sent_ms -
				    read_ms(&account->times, end));
	if (late_ms < 0)
		late_ms = 0;
	return is_twice || late_ms >= LATE_MS ? late_ms : -1;
}
