#ifndef TIMESTAMPC_PING_OUTPUT_H
#define TIMESTAMPC_PING_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Standard output of ping: what is printed to stdout is written such that
 * signals are taken while nobody reads it.  Owned by one thread.
 */
struct ping_output {
	uint64_t end_ms; /* of clock_ms(): gives up then; UINT64_MAX: never */
	int fd;          /* non-blocking, or not opened again */
	int signals;     /* a signalfd */
	int problem;     /* errno; nothing is written any more */
	FILE *standard;  /* what stdout was */
	void (*take_signal)(void *argument);
	void *argument;
};

/*
 * Puts output behind stdout, which has to be unused.  take_signal is called
 * when signals is readable and the output is waited for; it may set end_ms, and
 * may not print.  Returns -1 with errno.
 */
int ping_output_open(struct ping_output *output, int signals,
    void (*take_signal)(void *argument), void *argument);

/* Returns -1 after a complaint; a closed pipe is not worth one. */
int ping_output_flush(struct ping_output *output);

/* What is not flushed may be lost. */
void ping_output_close(struct ping_output *output);

#endif
