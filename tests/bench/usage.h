#ifndef USAGE_H
#define USAGE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * CPU time of a process with all its threads and descendants, in nanoseconds.
 * That of descendants that have ended is rounded to clock ticks.
 */
uint64_t usage_cpu_ns(pid_t pid);

/* Private memory of a process and its descendants. */
uint64_t usage_private_bytes(pid_t pid);

/* Kernel memory of the data in all TCP sockets of the host, at both ends. */
uint64_t usage_tcp_bytes(void);

#endif
