#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Each target defines it: runs once with size bytes of data, from libFuzzer or
 * from a file that replay.c reads.  Returns 0; a fault ends the process.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
