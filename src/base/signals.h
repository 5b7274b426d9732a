#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stddef.h>

/*
 * Blocks the signals in this thread and returns a non-blocking signalfd that
 * has them; -1 with errno.  Leaves out those that are ignored, as by nohup(1):
 * a signalfd would have them.  Call it before there are other threads.
 */
int signals_open(const int *numbers, size_t count);

#endif
