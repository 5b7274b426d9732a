#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdbool.h>

/* Whether there is a journal that takes entries with fields. */
bool journal_is_there(void);

/*
 * Makes an entry of message, with the fields TIMESTAMPD_LISTENER=,
 * TIMESTAMPD_PEER= and MESSAGE_ID= where they are not NULL.  priority is that of
 * syslog(3).  -1 when the journal does not take it.  Any thread.
 */
int journal_send(int priority, const char *message, const char *listener,
    const char *peer, const char *message_id);

#endif
