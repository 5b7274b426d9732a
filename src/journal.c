#include "journal.h"

#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define SOCKET "/run/systemd/journal/socket"
#define MESSAGE_MAX 2304
#define FIELD_MAX 512

bool
journal_is_there(void)
{
	return access(SOCKET, W_OK) == 0;
}

/* The piece of an entry that is "NAME=text"; of no length without text. */
static struct iovec
field(char *buffer, size_t size, const char *name, const char *text)
{
	if (text == NULL)
		return (struct iovec){ buffer, 0 };
	size_t len = (size_t)snprintf(buffer, size, "%s=%s", name, text);
	return (struct iovec){ buffer, len < size ? len : size - 1 };
}

int
journal_send(int priority, const char *message, const char *listener,
    const char *peer, const char *message_id)
{
	char number[4], texts[4][FIELD_MAX], line[MESSAGE_MAX];
	int count = 0;

	snprintf(number, sizeof(number), "%d", priority);
	struct iovec pieces[] = {
		field(line, sizeof(line), "MESSAGE", message),
		field(texts[0], FIELD_MAX, "PRIORITY", number),
		field(texts[1], FIELD_MAX, "TIMESTAMPD_LISTENER", listener),
		field(texts[2], FIELD_MAX, "TIMESTAMPD_PEER", peer),
		field(texts[3], FIELD_MAX, "MESSAGE_ID", message_id),
	};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		if (pieces[i].iov_len > 0)
			pieces[count++] = pieces[i];
	return sd_journal_sendv(pieces, count) == 0 ? 0 : -1;
}
