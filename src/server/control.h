#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include <stddef.h>
#include <sys/types.h>

/*
 * A reload that can be waited for: who asks sends SIGHUP with the name of a
 * socket of its own as the signal's value, and the server answers there.
 */
#define CONTROL_ANSWER_MAX 4096

/*
 * Asks the server pid to reload and waits for its answer, and for that of no
 * other process.  0 when it did, else -1 with the reason in answer, printable.
 */
int control_ask_reload(pid_t pid, char answer[CONTROL_ANSWER_MAX]);

/*
 * Answers who asked with value: reason is empty for a reload that was done.
 * The server's main thread; an asker that is gone is no error.
 */
void control_answer(int value, const char *reason);

#endif
