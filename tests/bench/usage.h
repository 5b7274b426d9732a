#ifndef USAGE_H
#define USAGE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * CPU time that a process has used with all its threads and descendants, in
 * nanoseconds; of descendants that have ended in steps of a clock tick.
 */
uint64_t usage_cpu_ns(pid_t pid);

/* Memory that it shares with no one, descendants included. */
uint64_t usage_private_bytes(pid_t pid);

#endif
