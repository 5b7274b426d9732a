#ifndef HTTP_PROCESS_H
#define HTTP_PROCESS_H

#include <stdint.h>

/* What the kernel tells of this process; what it doesn't tell is 0. */
struct process {
	uint64_t cpu_ns;
	uint64_t resident_bytes, virtual_bytes;
	uint64_t open_files, max_files;
};

/* Any thread. */
void process_look(struct process *process);

#endif
